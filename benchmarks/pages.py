"""How long the API takes to answer while a large campaign runs: 50 ms at most for 99 of 100, whatever there is."""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Mapping
from typing import Any

import httpx
import uvloop

from benchmarks.front_door import FrontDoor, an_order, front_door, people
from dispatcher.client import Client, campaigns
from dispatcher.ledger.database import Database

P99_MS = 50.0


def arguments(parser: argparse.ArgumentParser) -> None:
    """The size."""
    parser.add_argument("--people", type=int, default=1_000_000)
    parser.add_argument("--rate", default="300/s", help="of the sender, so that two cores have room for both")
    parser.add_argument("--questions", type=int, default=150, help="of each kind")
    parser.add_argument("--per-s", type=float, default=20.0, help="questions a second, altogether")


def run(given: argparse.Namespace) -> dict[str, Any]:
    """Measure it."""
    with front_door(rate=given.rate) as door, Client(door.url, door.key) as client:
        campaign = client.do(an_order())["id"]
        client.do(campaigns.add_people(campaign, people(given.people)))
        client.do(campaigns.start(campaign))
        before = client.do(campaigns.show(campaign))["counts"]
        took_ms = uvloop.run(_asked(door, campaign, given))
        after = client.do(campaigns.show(campaign))["counts"]
    p99 = {name: _percentile(times, 0.99) for name, times in took_ms.items()}
    return {
        "people": given.people,
        "sent_meanwhile": after["accepted"] - before["accepted"],
        "p50_ms": {name: _percentile(times, 0.5) for name, times in took_ms.items()},
        "p99_ms": p99,
        "holds": max(p99.values()) <= P99_MS and after["accepted"] > before["accepted"],
    }


async def _asked(door: FrontDoor, campaign: int, given: argparse.Namespace) -> Mapping[str, list[float]]:
    """Each question again and again, in turn, at the given pace."""
    middle = await _middle(door, campaign)
    questions = {
        "campaign": f"/campaigns/{campaign}",
        "campaigns": "/campaigns",
        "explanation": f"/campaigns/{campaign}/explanation",
        "messages": f"/campaigns/{campaign}/messages?cursor={middle}",
        "messages by state": f"/campaigns/{campaign}/messages?state=refused&cursor={middle}",
        "one message": f"/campaigns/{campaign}/messages/{middle}",
        "senders": "/senders",
        "unsure": "/unsure",
        "suppressions": "/suppressions",
    }
    took_ms: dict[str, list[float]] = {name: [] for name in questions}
    headers = {"Authorization": f"Bearer {door.key}"}
    async with httpx.AsyncClient(base_url=f"{door.url}/v1", headers=headers, trust_env=False) as client:
        loop = asyncio.get_running_loop()
        due_s = loop.time()
        for _ in range(given.questions):
            for name, path in questions.items():
                due_s += 1 / given.per_s
                await asyncio.sleep(max(0.0, due_s - loop.time()))
                began_s = time.perf_counter()
                (await client.get(path)).raise_for_status()
                took_ms[name].append((time.perf_counter() - began_s) * 1000)
    return took_ms


async def _middle(door: FrontDoor, campaign: int) -> int:
    """A message in the middle of the campaign."""
    database = await Database.open(door.database_url, connections=1)
    try:
        sql = "SELECT (min(id) + max(id)) / 2 FROM messages WHERE campaign_id = $1"
        return int(await database.fetchval(sql, campaign))
    finally:
        await database.close()


def _percentile(times: list[float], share: float) -> float:
    return round(sorted(times)[min(len(times) - 1, int(len(times) * share))], 1)
