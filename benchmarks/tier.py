"""A tier that is too small, and many workers racing for it: exactly as many people as it allows, the rest waits."""

from __future__ import annotations

import argparse
from typing import Any

import uvloop

from benchmarks.stage import add_campaign, add_senders, watch, write_audience
from dispatcher.app import open_app
from dispatcher.domain.hold import HoldReason
from dispatcher.domain.report import CampaignView
from dispatcher.rehearsal import Rehearsal, rehearsal


def arguments(parser: argparse.ArgumentParser) -> None:
    """The size."""
    parser.add_argument("--people", type=int, default=1_000, help="of each run, shared by its campaigns")
    parser.add_argument("--tier", type=int, default=250)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--campaigns", type=int, default=1, help="on the one sender; each has its own people")
    parser.add_argument("--runs", type=int, default=1, help="each on a stage of its own")


def run(given: argparse.Namespace) -> dict[str, Any]:
    """Measure it."""
    runs = []
    for _ in range(given.runs):
        with rehearsal(None, lanes=given.workers) as stage:
            runs.append(uvloop.run(_run(stage, given)))
    return {
        "people": given.people,
        "tier": given.tier,
        "workers": given.workers,
        "campaigns": given.campaigns,
        "runs": runs,
        "holds": all(
            one["accepted"] == one["accepted_by_record"] == given.tier
            and one["waiting"] == {"tier_exhausted": given.people - given.tier}
            and not one["waiting_without_a_time"]
            and not one["refused_by_sandbox"]
            for one in runs
        ),
    }


async def _run(stage: Rehearsal, given: argparse.Namespace) -> dict[str, Any]:
    async with open_app(stage.settings) as app:
        senders = await add_senders(app, stage, 1, rate="1000/s", tier=str(given.tier))
        each = given.people // given.campaigns
        ids = []
        for n in range(given.campaigns):
            audience = write_audience(stage.home / f"audience-{n}.csv", each, first=n * each)
            ids.append((await add_campaign(app, audience, senders))[0])
        for campaign_id in ids:
            await app.campaigns.start(campaign_id)
        views = [(await watch(app, one, _waits_for_the_tier, most_s=60))[0] for one in ids]
    record = stage.sandbox.get("record")
    waits = [wait for view in views for wait in view.waiting]
    return {
        "accepted": sum(view.counts.accepted for view in views),
        "accepted_by_record": record["accepted"],
        "waiting": {"tier_exhausted": sum(wait.people for wait in waits)},
        "waiting_without_a_time": sum(wait.people for wait in waits if wait.hold.until is None),
        "refused_by_sandbox": record["refused"],
    }


def _waits_for_the_tier(view: CampaignView) -> bool:
    reasons = {wait.hold.reason for wait in view.waiting}
    is_quiet = view.counts.claimed == 0 and not any(lane.is_running for lane in view.lanes)
    return is_quiet and reasons == {HoldReason.TIER_EXHAUSTED}
