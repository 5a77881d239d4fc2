"""Redis goes away in the middle of a campaign and comes back empty: what stops, how soon it goes on, what it costs."""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Sequence
from typing import Any

import uvloop

from benchmarks.stage import add_campaign, add_senders, watch, write_audience
from dispatcher.app import App, open_app
from dispatcher.domain.campaign import CampaignState
from dispatcher.domain.ids import CampaignId
from dispatcher.domain.report import CampaignView
from dispatcher.rehearsal import Rehearsal, rehearsal

GOES_ON_WITHIN_S = 2.0
STOPS_WITHIN_S = 1.0


def arguments(parser: argparse.ArgumentParser) -> None:
    """The size."""
    parser.add_argument("--people", type=int, default=4_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--away-s", type=float, default=3.0)


def run(given: argparse.Namespace) -> dict[str, Any]:
    """Measure it. The tier is smaller than the audience, so that people forgotten by Redis would show."""
    with rehearsal(None, lanes=given.workers) as stage:
        return uvloop.run(_run(stage, given))


async def _run(stage: Rehearsal, given: argparse.Namespace) -> dict[str, Any]:
    tier = given.people - 100
    async with open_app(stage.settings) as app:
        senders = await add_senders(app, stage, 1, rate="200/s", tier=str(tier))
        audience = write_audience(stage.home / "audience.csv", given.people)
        campaign_id, _ = await add_campaign(app, audience, senders)
        await app.campaigns.start(campaign_id)
        outages = [await _outage(app, stage, campaign_id, given, n + 1) for n in range(given.rounds)]
        view, _ = await watch(app, campaign_id, lambda view: _is_over(view), most_s=120)
        faults = [fault.what for fault in await app.campaigns.check()]
    record = stage.sandbox.get("record")
    return {
        "people": given.people,
        "tier": tier,
        "stopped_after_s": [outage[0] for outage in outages],
        "went_on_after_s": [outage[1] for outage in outages],
        "why_while_away": [outage[2] for outage in outages],
        "accepted": view.counts.accepted,
        "unsure": view.counts.unsure,
        "waiting": view.counts.pending,
        "duplicates": record["duplicates"],
        "violations": record["violations"],
        "check_faults": faults,
        "holds": not record["duplicates"]
        and not record["violations"]
        and not faults
        and max(outage[0] for outage in outages) <= STOPS_WITHIN_S
        and max(outage[1] for outage in outages) <= GOES_ON_WITHIN_S
        and view.counts.accepted + view.counts.unsure >= tier * 0.98,
    }


async def _outage(
    app: App, stage: Rehearsal, campaign_id: CampaignId, given: argparse.Namespace, number: int
) -> tuple[float, float, Sequence[str]]:
    """Seconds from the end of Redis to the last arrival, from its return to the first; and what the lanes said."""
    goal = number * given.people / (given.rounds + 2)
    await watch(app, campaign_id, lambda view: view.counts.accepted >= goal, most_s=60)
    gone = time.time()
    await asyncio.to_thread(stage.servers.valkey.stop)
    await asyncio.sleep(given.away_s)
    said = [str(lane.hold) for lane in (await app.campaigns.view(campaign_id)).lanes]
    await asyncio.to_thread(stage.servers.valkey.start)
    back = time.time()
    before = stage.sandbox.get("record")["accepted"]
    while stage.sandbox.get("record")["accepted"] == before:
        if time.time() - back > 30:
            raise TimeoutError("nothing was sent within 30 s of the return of Redis")
        await asyncio.sleep(0.02)
    on = time.time()
    last = max(m["at_ms"] for m in stage.sandbox.accepted() if m["at_ms"] < back * 1_000)
    return round(max(0.0, last / 1_000 - gone), 2), round(on - back, 2), said


def _is_over(view: CampaignView) -> bool:
    is_quiet = view.counts.claimed == 0 and not any(lane.is_running for lane in view.lanes)
    waits_for_tier = {str(wait.hold.reason) for wait in view.waiting} == {"tier_exhausted"}
    return is_quiet and (waits_for_tier or view.campaign.state is CampaignState.COMPLETED)
