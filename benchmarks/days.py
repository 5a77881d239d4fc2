"""A campaign larger than its tier, day after day: a rehearsal in which a day lasts some seconds."""

from __future__ import annotations

import argparse
from collections import deque
from typing import Any

import uvloop

from benchmarks.stage import add_campaign, add_senders, watch, write_audience
from dispatcher.app import open_app
from dispatcher.domain.campaign import CampaignState
from dispatcher.rehearsal import Rehearsal, rehearsal

GOAL = 0.98
MARGIN_S = 0.25
"""For posts on this machine; the default, for real ones, is a larger number but a smaller part of the day."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The size."""
    parser.add_argument("--day-s", type=float, default=20.0)
    parser.add_argument("--tier", type=int, default=1_000)
    parser.add_argument("--days", type=int, default=4, help="how many tiers full of people")
    parser.add_argument("--workers", type=int, default=2)


def run(given: argparse.Namespace) -> dict[str, Any]:
    """Measure it."""
    with rehearsal(None, lanes=given.workers, day_s=given.day_s, reach_margin_s=MARGIN_S) as stage:
        return uvloop.run(_run(stage, given))


async def _run(stage: Rehearsal, given: argparse.Namespace) -> dict[str, Any]:
    day_ms = round(given.day_s * 1_000)
    stage.sandbox.send("PATCH", "timing", {"day_ms": day_ms})
    people = given.tier * given.days
    async with open_app(stage.settings) as app:
        senders = await add_senders(app, stage, 1, rate="250/s", tier=str(given.tier))
        audience = write_audience(stage.home / "audience.csv", people)
        campaign_id, _ = await add_campaign(app, audience, senders)
        await app.campaigns.start(campaign_id)
        await watch(
            app,
            campaign_id,
            lambda view: view.campaign.state is CampaignState.COMPLETED,
            most_s=given.day_s * (given.days + 2) + 60,
        )
    arrivals = sorted(message["at_ms"] for message in stage.sandbox.accepted())
    fullest, days_used = _rolling(arrivals, day_ms), _used(arrivals, day_ms, given.tier)
    record = stage.sandbox.get("record")
    return {
        "people": people,
        "tier": given.tier,
        "day_s": given.day_s,
        "accepted": record["accepted"],
        "most_in_a_rolling_day": fullest,
        "used_share_by_day": days_used,
        "violations": record["violations"],
        "holds": record["accepted"] == people
        and fullest <= given.tier
        and min(days_used) >= GOAL
        and not record["violations"],
    }


def _rolling(arrivals: list[int], day_ms: int) -> int:
    """The most people within any half-open window of a day."""
    window: deque[int] = deque()
    most = 0
    for at_ms in arrivals:
        window.append(at_ms)
        while window[0] <= at_ms - day_ms:
            window.popleft()
        most = max(most, len(window))
    return most


def _used(arrivals: list[int], day_ms: int, tier: int) -> list[float]:
    """Of each whole day from the first arrival on, the part of the tier that was used; the last, cut day is left out."""
    days = (arrivals[-1] - arrivals[0]) // day_ms
    counts = [0] * days
    for at_ms in arrivals:
        if (day := (at_ms - arrivals[0]) // day_ms) < days:
            counts[day] += 1
    return [round(count / tier, 4) for count in counts]
