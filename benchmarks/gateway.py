"""How fast the gateway takes templates one by one, whether each arrives once, and how soon it answers beside a campaign."""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta
from typing import Any

import orjson
import uvloop

from benchmarks.front_door import FrontDoor, an_order, front_door, people
from benchmarks.stage import number_id
from dispatcher.app import open_app
from dispatcher.channel.transport import Transport, open_transport
from dispatcher.client import Client, campaigns
from dispatcher.domain.gateway import GatewayId

P99_MS = 50.0
SECONDS_MOST = 60.0
PERSON = 700_000_000
"""Numbers from here on are in no campaign."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The size."""
    parser.add_argument("--messages", type=int, default=3_000, help="as fast as they are taken")
    parser.add_argument("--at-once", type=int, default=16)
    parser.add_argument("--singles", type=int, default=300, help="the same by /v1/messages, to compare")
    parser.add_argument("--people", type=int, default=0, help="of a campaign that runs beside the paced ones")
    parser.add_argument("--rate", default="300/s", help="of the sender while that campaign runs")
    parser.add_argument("--paced", type=int, default=600)
    parser.add_argument("--per-s", type=float, default=20.0)


def run(given: argparse.Namespace) -> dict[str, Any]:
    """Measure it."""
    with front_door() as door:
        flood = uvloop.run(_flood(door, given))
    result: dict[str, Any] = {**flood, "p99_ms_beside": None, "holds": flood["duplicates"] == 0}
    if given.people:
        with front_door(rate=given.rate) as door, Client(door.url, door.key) as client:
            campaign = client.do(an_order())["id"]
            client.do(campaigns.add_people(campaign, people(given.people)))
            client.do(campaigns.start(campaign))
            before = client.do(campaigns.show(campaign))["counts"]
            took_ms = uvloop.run(_paced(door, given))
            after = client.do(campaigns.show(campaign))["counts"]
        result["people"] = given.people
        result["sent_meanwhile"] = after["accepted"] - before["accepted"]
        result["p50_ms_beside"], result["p99_ms_beside"] = (
            _percentile(took_ms, 0.5),
            _percentile(took_ms, 0.99),
        )
        result["holds"] = (
            result["holds"] and result["p99_ms_beside"] <= P99_MS and result["sent_meanwhile"] > 0
        )
    return result


async def _flood(door: FrontDoor, given: argparse.Namespace) -> dict[str, Any]:
    transport = _transport(given.at_once)
    ids: list[str] = []
    took_ms: list[float] = []

    async def take(n: int) -> None:
        began_s = time.perf_counter()
        ids.append(await _template(door, transport, n))
        took_ms.append((time.perf_counter() - began_s) * 1000)

    async def single(n: int) -> None:
        order = {"sender": "sender-0", "to": f"+4915{PERSON + n}", "template": "notice", "language": "en_US"}
        headers = {**_headers(door), "Idempotency-Key": f"single-{n}"}
        answer = await transport.post(f"{door.url}/v1/messages", headers, orjson.dumps(order))
        assert answer.status == 201, answer.body

    began_s = time.perf_counter()
    await _side_by_side(take, range(given.messages), given.at_once)
    taken_s = time.perf_counter() - began_s
    arrived_s, seen = await _until_arrived(door, given.messages, began_s)
    if given.singles:
        await _furnish(door)
    began_s = time.perf_counter()
    if given.singles:
        await _side_by_side(single, range(given.singles), given.at_once)
    singles_s = time.perf_counter() - began_s
    await transport.close()
    return {
        "messages": len(set(ids)),
        "taken_per_s": round(given.messages / taken_s),
        "p50_ms": _percentile(took_ms, 0.5),
        "p99_ms": _percentile(took_ms, 0.99),
        "arrived_per_s": round(given.messages / arrived_s),
        "campaigns": len({named.campaign_id for each in ids if (named := GatewayId.parse(each))}),
        "duplicates": seen["duplicates"],
        "singles_per_s": round(given.singles / singles_s) if given.singles else None,
    }


async def _paced(door: FrontDoor, given: argparse.Namespace) -> list[float]:
    """Templates at an even pace, each with its time."""
    transport = _transport(4)
    took_ms = []
    due_s = time.monotonic()
    for n in range(given.paced):
        due_s += 1 / given.per_s
        await asyncio.sleep(max(0.0, due_s - time.monotonic()))
        began_s = time.perf_counter()
        await _template(door, transport, n)
        took_ms.append((time.perf_counter() - began_s) * 1000)
    await transport.close()
    return took_ms


async def _template(door: FrontDoor, transport: Transport, n: int) -> str:
    parameters = [{"type": "text", "text": f"Name {n}"}, {"type": "text", "text": "20 %"}]
    template = {
        "name": "offer",
        "language": {"code": "en_US"},
        "components": [{"type": "body", "parameters": parameters}],
    }
    said = {
        "messaging_product": "whatsapp",
        "to": f"4915{PERSON + n}",
        "type": "template",
        "template": template,
    }
    url = f"{door.url}/v25.0/{number_id(0)}/messages"
    answer = await transport.post(url, _headers(door), orjson.dumps(said))
    assert answer.status == 200, answer.body
    return str(orjson.loads(answer.body)["messages"][0]["id"])


async def _until_arrived(door: FrontDoor, messages: int, began_s: float) -> tuple[float, dict[str, Any]]:
    async with asyncio.timeout(SECONDS_MOST):
        # why polled: only the sandbox knows.
        while (seen := await asyncio.to_thread(door.stage.sandbox.get, "record"))["accepted"] < messages:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    return time.perf_counter() - began_s, seen


async def _side_by_side(work: Callable[[int], Awaitable[None]], numbers: Iterable[int], at_once: int) -> None:
    left = iter(numbers)

    async def some() -> None:
        for n in left:
            await work(n)

    await asyncio.gather(*(some() for _ in range(at_once)))


async def _furnish(door: FrontDoor) -> None:
    """Single messages are no marketing: a template of their own."""
    notice = {"id": "600000000000002", "waba_id": "100000000000001", "name": "notice", "language": "en_US"}
    body = [{"type": "BODY", "text": "Your parcel is here."}]
    template = {**notice, "category": "UTILITY", "status": "APPROVED", "components": body}
    await asyncio.to_thread(door.stage.sandbox.send, "PUT", "templates", [template])
    async with open_app(door.stage.settings, migrate=False) as app:
        await app.senders.sync_templates("sender-0")


def _headers(door: FrontDoor) -> dict[str, str]:
    return {"Authorization": f"Bearer {door.key}", "Content-Type": "application/json"}


def _transport(at_once: int) -> Transport:
    second = timedelta(seconds=1)
    return open_transport(
        "pyreqwest",
        timeout=30 * second,
        connect_timeout=5 * second,
        max_connections=at_once,
        idle_timeout=20 * second,
    )


def _percentile(times: list[float], share: float) -> float:
    return round(sorted(times)[min(len(times) - 1, int(len(times) * share))], 1)
