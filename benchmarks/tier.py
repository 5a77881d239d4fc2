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
    parser.add_argument("--people", type=int, default=1_000)
    parser.add_argument("--tier", type=int, default=250)
    parser.add_argument("--workers", type=int, default=8)


def run(given: argparse.Namespace) -> dict[str, Any]:
    """Measure it."""
    with rehearsal(None, lanes=given.workers) as stage:
        return uvloop.run(_run(stage, given))


async def _run(stage: Rehearsal, given: argparse.Namespace) -> dict[str, Any]:
    async with open_app(stage.settings) as app:
        senders = await add_senders(app, stage, 1, rate="1000/s", tier=str(given.tier))
        audience = write_audience(stage.home / "audience.csv", given.people)
        campaign_id, _ = await add_campaign(app, audience, senders)
        await app.campaigns.start(campaign_id)
        view, seconds = await watch(app, campaign_id, _waits_for_the_tier, most_s=60)
    record = stage.sandbox.get("record")
    waiting = {str(wait.hold.reason): wait.people for wait in view.waiting}
    untimed = sum(wait.people for wait in view.waiting if wait.hold.until is None)
    return {
        "people": given.people,
        "tier": given.tier,
        "workers": given.workers,
        "accepted": view.counts.accepted,
        "accepted_by_record": record["accepted"],
        "waiting": waiting,
        "waiting_without_a_time": untimed,
        "refused_by_sandbox": record["refused"],
        "seconds": round(seconds, 1),
        "holds": view.counts.accepted == record["accepted"] == given.tier
        and waiting == {"tier_exhausted": given.people - given.tier}
        and not untimed
        and not record["refused"],
    }


def _waits_for_the_tier(view: CampaignView) -> bool:
    reasons = {wait.hold.reason for wait in view.waiting}
    return view.counts.claimed == 0 and reasons == {HoldReason.TIER_EXHAUSTED}
