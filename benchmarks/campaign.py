"""The main job at size: a campaign over several senders and worker processes, judged by the sandbox's record."""

from __future__ import annotations

import argparse
from typing import Any

import uvloop

from benchmarks.stage import Memory, add_campaign, add_senders, watch, write_audience
from dispatcher.app import open_app
from dispatcher.domain.campaign import CampaignState
from dispatcher.domain.report import CampaignView
from dispatcher.rehearsal import Rehearsal, rehearsal


def arguments(parser: argparse.ArgumentParser) -> None:
    """The size."""
    parser.add_argument("--people", type=int, default=100_000)
    parser.add_argument("--senders", type=int, default=4)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rate", default="1000/s", help="of each sender")


def run(given: argparse.Namespace) -> dict[str, Any]:
    """Measure it."""
    with rehearsal(None, lanes=given.workers) as stage:
        return uvloop.run(_run(stage, given))


async def _run(stage: Rehearsal, given: argparse.Namespace) -> dict[str, Any]:
    async with open_app(stage.settings) as app:
        senders = await add_senders(app, stage, given.senders, rate=given.rate, tier="unlimited")
        audience = write_audience(stage.home / "audience.csv", given.people)
        campaign_id, report = await add_campaign(app, audience, senders)
        memory = Memory([worker.pid for worker in stage.workers])

        def is_over(view: CampaignView) -> bool:
            memory.look()
            return view.campaign.state is CampaignState.COMPLETED

        await app.campaigns.start(campaign_id)
        view, seconds = await watch(app, campaign_id, is_over, most_s=60 + given.people / 200)
        faults = await app.campaigns.check()
    record = stage.sandbox.get("record")
    return {
        "people": given.people,
        "accepted": view.counts.accepted,
        "accepted_by_record": record["accepted"],
        "duplicates": record["duplicates"],
        "violations": record["violations"],
        "check_faults": [fault.what for fault in faults],
        "import_rows_per_s": round(report.rows_per_s),
        "seconds": round(seconds, 1),
        "messages_per_s": round(view.counts.accepted / seconds),
        "worker_peak_mb": round(memory.peak_mb, 1),
        "holds": view.counts.accepted == record["accepted"] == given.people
        and not record["violations"]
        and not faults
        and memory.peak_mb < 200,
    }
