"""Pacing: how much of an allowed rate a campaign really uses, and whether it ever goes over, by the receiver's clock.

The sink judges by its own counts per tenth of a second, and holds each answer back as the platform does; the sandbox, with
`--judge sandbox`, by the bucket it refuses with. Both let a second's worth through at once, and neither knows our limits.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Callable
from typing import Any

import uvloop

from benchmarks.contestants.product import open_house
from benchmarks.far_side import far_side
from benchmarks.stage import add_campaign, add_senders, watch, write_audience
from dispatcher.app import open_app
from dispatcher.domain.report import CampaignView
from dispatcher.rehearsal import Rehearsal, rehearsal

RATES_PER_S = (80, 1_000)
GOAL = 0.98
BURST_S = 1.0
"""What the receiver takes at once, in seconds of the rate. Meta names a rate and no burst; the sandbox assumes the same."""
MORE_S = 2
"""People for so many seconds more than are judged."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """How long, and before whom."""
    parser.add_argument("--seconds", type=int, default=30, help="per rate")
    parser.add_argument("--latency-ms", type=float, default=150.0, help="of the receiver's answers")
    parser.add_argument("--rates", type=int, nargs="+", default=list(RATES_PER_S), help="messages per second")
    parser.add_argument("--judge", choices=JUDGES, default="sink", help="who receives and judges")


def run(given: argparse.Namespace) -> dict[str, Any]:
    """Measure each rate on a stage of its own."""
    rates = [JUDGES[given.judge](given, rate) for rate in given.rates]
    return {
        "seconds": given.seconds,
        "latency_ms": given.latency_ms,
        "judge": given.judge,
        "rates": rates,
        "holds": all(one["achieved_share"] >= GOAL and not one["violations"] for one in rates),
    }


def _before_the_sink(given: argparse.Namespace, rate: int) -> dict[str, Any]:
    people = rate * (given.seconds + MORE_S)
    with (
        far_side(latency_ms=given.latency_ms) as sink,
        open_house(sink, senders=1, rate=f"{rate}/s", lanes=1) as house,
    ):
        draft = house.draft(people)
        time.sleep(2)  # the workers' start is not what is measured
        house.run(house.app.campaigns.start(draft))
        sink.wait_for(lambda seen: bool(seen["accepted"] >= people), most_s=given.seconds * 2 + 30)
        record = sink.record(rate_per_s=rate, burst=rate * BURST_S)
        share = sink.share(rate, given.seconds)
    return {
        "rate_per_s": rate,
        "accepted": record["accepted"],
        "achieved_share": round(share, 4),
        "most_over_rate": record["most_over"],
        "violations": record["violations"],
        "duplicates": record["duplicates"],
    }


def _before_the_sandbox(given: argparse.Namespace, rate: int) -> dict[str, Any]:
    with rehearsal(None, lanes=1) as stage:
        return uvloop.run(_run(stage, given, rate))


JUDGES: dict[str, Callable[[argparse.Namespace, int], dict[str, Any]]] = {
    "sink": _before_the_sink,
    "sandbox": _before_the_sandbox,
}


async def _run(stage: Rehearsal, given: argparse.Namespace, rate: int) -> dict[str, Any]:
    latency = {"shape": "lognormal", "ms": given.latency_ms, "sigma": 0.3}
    stage.sandbox.send("PATCH", "behaviour", {"latency": latency})
    async with open_app(stage.settings) as app:
        senders = await add_senders(app, stage, 1, rate=f"{rate}/s", tier="unlimited")
        audience = write_audience(stage.home / "audience.csv", rate * (given.seconds + MORE_S))
        campaign_id, _ = await add_campaign(app, audience, senders)
        await asyncio.sleep(2)  # the workers' start is not what is measured
        await app.campaigns.start(campaign_id)
        await watch(app, campaign_id, _is_sent, most_s=given.seconds * 2 + 30)
    arrivals = sorted(message["at_ms"] for message in stage.sandbox.accepted())
    # Judged from the first arrival on, by the clock of the far side.
    within = sum(at_ms < arrivals[0] + given.seconds * 1_000 for at_ms in arrivals)
    return {
        "rate_per_s": rate,
        "accepted": within,
        "achieved_share": round(within / (rate * given.seconds), 4),
        "violations": stage.sandbox.get("record")["violations"],
    }


def _is_sent(view: CampaignView) -> bool:
    return view.counts.pending + view.counts.claimed == 0
