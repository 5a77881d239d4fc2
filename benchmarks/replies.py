"""How soon a reply goes: from the call that queues it to the arrival of its post at the sink, beside a campaign.

Two cases, each with a reply worker of its own process: `same`, a campaign takes all that the same sender may send, 80 a second;
`others`, a worker runs campaigns of other senders at full speed, on the same two cores. Replies go to many people, one by
one at random moments, in the process that measures; the sink's clock is the same monotonic one. What the campaign keeps
beside them is what the sink has seen of it.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from benchmarks.contestants.product import House, open_house
from benchmarks.far_side import FarSide, far_side
from dispatcher.domain.ids import SenderId
from dispatcher.domain.queued_reply import NewReply, Queued
from dispatcher.domain.rate import Rate
from dispatcher.domain.reply import Text

P99_MS = 150
RATE_PER_S = 80
RESERVE_SHARE = 0.2
"""As the setting `reserve_share` has it: what a campaign may lose to replies."""
PEOPLE = 100
"""Who have written. Their pairs allow 45 replies each at once."""
WARM_UP = 10
"""Replies that do not count: connections are made, statements prepared."""
_ARRIVES_WITHIN_S = 30.0
_MESSAGES_PER_S = 12_000
"""More than any machine here sends, so that the campaign at full speed outlasts the measurement."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """How many, and how far away the sink is."""
    parser.add_argument("--replies", type=int, default=300, help="that count, per case")
    parser.add_argument("--per-s", type=float, default=10.0, help="replies per second")
    parser.add_argument("--latency-ms", type=float, default=20.0, help="of the sink's answers")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))


def run(given: argparse.Namespace) -> dict[str, Any]:
    """Measure each case in a house of its own."""
    cases = []
    for name in given.cases:
        with far_side(latency_ms=given.latency_ms) as sink:
            cases.append({"case": name, **CASES[name](sink, given)})
    return {
        "p50_ms": max(case["p50_ms"] for case in cases),
        "p99_ms": max(case["p99_ms"] for case in cases),
        "campaign_messages_per_s": cases[0]["campaign_messages_per_s"],
        "replies_per_s": given.per_s,
        "latency_ms": given.latency_ms,
        "cases": cases,
        "holds": all(case["holds"] for case in cases),
    }


def _same(sink: FarSide, given: argparse.Namespace) -> dict[str, Any]:
    with open_house(sink, senders=1, rate=f"{RATE_PER_S}/s", lanes=1, replies=1) as house:
        seconds = given.replies / given.per_s
        measured = _beside_a_campaign(
            house, sink, given, "sender-0", people=round(RATE_PER_S * (seconds + 15))
        )
    kept = measured["campaign_messages_per_s"] >= RATE_PER_S * (1 - RESERVE_SHARE)
    return {**measured, "holds": measured["p99_ms"] <= P99_MS and not measured["duplicates"] and kept}


def _others(sink: FarSide, given: argparse.Namespace) -> dict[str, Any]:
    with open_house(sink, senders=4, rate="10000/s", lanes=1, replies=1) as house:
        seconds = given.replies / given.per_s
        desk = house.run(_a_desk(house))
        people = round(_MESSAGES_PER_S * (seconds + 5))
        measured = _beside_a_campaign(house, sink, given, desk, people=people)
    return {**measured, "holds": measured["p99_ms"] <= P99_MS and not measured["duplicates"]}


CASES: dict[str, Callable[[FarSide, argparse.Namespace], dict[str, Any]]] = {"same": _same, "others": _others}


def _beside_a_campaign(
    house: House, sink: FarSide, given: argparse.Namespace, sender: str, *, people: int
) -> dict[str, Any]:
    """Queue replies while a campaign runs; what both got."""
    house.run(_people_write(house, sender))
    draft = house.draft(people)
    sink.reset()
    house.run(house.app.campaigns.start(draft))
    sink.wait_for(lambda seen: bool(seen["accepted"] >= RATE_PER_S), most_s=30)
    house.run(_reply(house, sender, WARM_UP, given.per_s))
    before, began_s = sink.record(), time.monotonic()
    queued = house.run(_reply(house, sender, given.replies, given.per_s))
    after, seconds = sink.record(), time.monotonic() - began_s
    arrived = _all_arrived(sink, queued)
    house.run(house.app.campaigns.pause(draft))
    assert after["accepted"] - len(queued) < people, "the campaign was over too soon"
    waits_ms = sorted((arrived[number] - at_s) * 1_000 for number, at_s in queued.items())
    messages = after["accepted"] - before["accepted"] - len(queued)
    return {
        "p50_ms": round(statistics.median(waits_ms), 1),
        "p99_ms": round(waits_ms[int(len(waits_ms) * 0.99)], 1),
        "max_ms": round(waits_ms[-1], 1),
        "replies": len(queued),
        "campaign_messages_per_s": round(messages / seconds, 1),
        "duplicates": sink.record()["duplicates"],
    }


async def _a_desk(house: House) -> str:
    """A sender that has no campaigns."""
    known = await house.app.senders.named("sender-0")
    desk = replace(
        known,
        id=SenderId(0),
        name="desk",
        phone_number_id="299999999999999",
        rate=Rate.parse(f"{RATE_PER_S}/s"),
    )
    return (await house.app.senders.add(desk)).name


def _person(n: int) -> str:
    return f"+4916{900_000_000 + n}"


async def _people_write(house: House, sender: str) -> None:
    """Their windows are open."""
    await house.app.database.execute(
        """INSERT INTO conversations (sender_id, person_key, person, window_ends_at)
        SELECT s.id, p, p, ledger_now() + interval '1 day' FROM senders s, unnest($2::text[]) AS p WHERE s.name = $1""",
        sender,
        [_person(n) for n in range(PEOPLE)],
    )


async def _reply(house: House, sender: str, replies: int, per_s: float) -> dict[int, float]:
    """At random moments, so many a second on average. Returns each reply's number → when it was asked for."""
    dice = random.Random(replies)
    queued, asked_at_s = {}, time.monotonic()
    for n in range(replies):
        asked_at_s += dice.expovariate(per_s)
        await asyncio.sleep(max(0.0, asked_at_s - time.monotonic()))
        now_s = time.monotonic()
        answer = await house.app.replies.queue(NewReply(sender, _person(n % PEOPLE), Text(f"Reply {n}")))
        assert isinstance(answer, Queued), answer
        queued[int(answer.id)] = now_s
    return queued


def _all_arrived(sink: FarSide, queued: dict[int, float]) -> dict[int, float]:
    ends_s = time.monotonic() + _ARRIVES_WITHIN_S
    while not queued.keys() <= (arrived := sink.replies()).keys():
        if time.monotonic() > ends_s:
            raise TimeoutError(f"{len(queued.keys() - arrived.keys())} replies did not arrive")
        time.sleep(0.1)
    return arrived
