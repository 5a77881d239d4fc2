"""A ban in the middle of a campaign: how much still goes out after the change of status has returned."""

from __future__ import annotations

import argparse
import asyncio
import time
from typing import Any

import uvloop

from benchmarks.stage import add_campaign, add_senders, watch, write_audience
from dispatcher.app import open_app
from dispatcher.domain.campaign import CampaignState
from dispatcher.domain.hold import HoldReason
from dispatcher.domain.report import CampaignView
from dispatcher.domain.sender import SenderStatus
from dispatcher.rehearsal import Rehearsal, rehearsal


def arguments(parser: argparse.ArgumentParser) -> None:
    """The size."""
    parser.add_argument("--rate", default="1000/s")
    parser.add_argument("--people", type=int, default=6_000)


def run(given: argparse.Namespace) -> dict[str, Any]:
    """Measure it. The sandbox knows nothing of the ban, so that whatever goes out is accepted and counted."""
    with rehearsal(None, lanes=1) as stage:
        return uvloop.run(_run(stage, given))


async def _run(stage: Rehearsal, given: argparse.Namespace) -> dict[str, Any]:
    stage.sandbox.send("PATCH", "behaviour", {"latency": {"shape": "lognormal", "ms": 30, "sigma": 0.3}})
    async with open_app(stage.settings) as app:
        senders = await add_senders(app, stage, 1, rate=given.rate, tier="unlimited")
        audience = write_audience(stage.home / "audience.csv", given.people)
        campaign_id, _ = await add_campaign(app, audience, senders)
        await app.campaigns.start(campaign_id)
        await watch(app, campaign_id, lambda view: view.counts.accepted > given.people / 4, most_s=60)
        await app.senders.change(senders[0], {"status": SenderStatus.BANNED})
        banned_ms = time.time() * 1_000
        held, _ = await watch(app, campaign_id, _is_held, most_s=30)
        await asyncio.sleep(1.5)
        after = [m["at_ms"] - banned_ms for m in stage.sandbox.accepted() if m["at_ms"] > banned_ms]
        await app.senders.change(senders[0], {"status": SenderStatus.CONNECTED})
        done, _ = await watch(
            app, campaign_id, lambda view: view.campaign.state is CampaignState.COMPLETED, most_s=60
        )
    record = stage.sandbox.get("record")
    return {
        "people": given.people,
        "accepted_after_the_ban": len(after),
        "in_flight_cap": stage.settings.in_flight,
        "last_ms_after_the_ban": round(max(after, default=0.0)),
        "held_by": [str(wait.hold) for wait in held.waiting],
        "accepted_in_the_end": done.counts.accepted,
        "violations": record["violations"],
        "holds": len(after) <= stage.settings.in_flight
        and max(after, default=0.0) <= 1_000
        and done.counts.accepted == record["accepted"] == given.people,
    }


def _is_held(view: CampaignView) -> bool:
    reasons = {wait.hold.reason for wait in view.waiting}
    return view.counts.claimed == 0 and reasons == {HoldReason.SENDER_BLOCKED}
