"""Pacing: how much of an allowed rate a campaign really uses, and whether it ever goes over, by the sandbox's clock."""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

import uvloop

from benchmarks.stage import add_campaign, add_senders, watch, write_audience
from dispatcher.app import App, open_app
from dispatcher.domain.report import CampaignView
from dispatcher.rehearsal import Rehearsal, rehearsal

RATES_PER_S = (80, 1_000)
GOAL = 0.98


def arguments(parser: argparse.ArgumentParser) -> None:
    """How long."""
    parser.add_argument("--seconds", type=int, default=30, help="per rate")
    parser.add_argument("--latency-ms", type=float, default=20.0, help="of the sandbox's answers")


def run(given: argparse.Namespace) -> dict[str, Any]:
    """Measure each rate on a stage of its own."""
    rates = []
    for rate in RATES_PER_S:
        with rehearsal(None, lanes=1) as stage:
            rates.append(uvloop.run(_run(stage, given, rate)))
    return {
        "seconds": given.seconds,
        "rates": rates,
        "holds": all(one["achieved_share"] >= GOAL and not one["violations"] for one in rates),
    }


async def _run(stage: Rehearsal, given: argparse.Namespace, rate: int) -> dict[str, Any]:
    latency = {"shape": "lognormal", "ms": given.latency_ms, "sigma": 0.3}
    stage.sandbox.send("PATCH", "behaviour", {"latency": latency})
    async with open_app(stage.settings) as app:
        senders = await add_senders(app, stage, 1, rate=f"{rate}/s", tier="unlimited")
        audience = write_audience(stage.home / "audience.csv", rate * (given.seconds + 2))
        await _play(app, audience_senders=(audience, senders), seconds=given.seconds)
    arrivals = sorted(message["at_ms"] for message in stage.sandbox.accepted())
    # Judged from the first arrival on, by the clock of the far side.
    within = sum(at_ms < arrivals[0] + given.seconds * 1_000 for at_ms in arrivals)
    return {
        "rate_per_s": rate,
        "accepted": within,
        "achieved_share": round(within / (rate * given.seconds), 4),
        "violations": stage.sandbox.get("record")["violations"],
    }


async def _play(app: App, *, audience_senders: tuple[Any, Any], seconds: int) -> None:
    audience, senders = audience_senders
    campaign_id, _ = await add_campaign(app, audience, senders)
    await asyncio.sleep(2)  # the workers' start is not what is measured

    def is_over(view: CampaignView) -> bool:
        return view.counts.pending + view.counts.claimed == 0

    await app.campaigns.start(campaign_id)
    await watch(app, campaign_id, is_over, most_s=seconds * 2 + 30)
