"""Import of a clean CSV file in E.164: rows per second, end to end into a durable ledger."""

from __future__ import annotations

import argparse
import statistics
from typing import Any

import uvloop

from benchmarks.stage import add_campaign, add_senders, write_audience
from dispatcher.app import open_app
from dispatcher.rehearsal import Rehearsal, rehearsal

GOAL_ROWS_PER_S = 50_000


def arguments(parser: argparse.ArgumentParser) -> None:
    """The size."""
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--rounds", type=int, default=3)


def run(given: argparse.Namespace) -> dict[str, Any]:
    """Measure it."""
    with rehearsal(None, lanes=0) as stage:
        return uvloop.run(_run(stage, given))


async def _run(stage: Rehearsal, given: argparse.Namespace) -> dict[str, Any]:
    async with open_app(stage.settings) as app:
        senders = await add_senders(app, stage, 1, rate="80/s", tier="unlimited")
        audience = write_audience(stage.home / "audience.csv", given.rows)
        speeds = [(await add_campaign(app, audience, senders))[1].rows_per_s for _ in range(given.rounds)]
    return {
        "rows": given.rows,
        "rounds": given.rounds,
        "rows_per_s": round(statistics.median(speeds)),
        "rows_per_s_min": round(min(speeds)),
        "rows_per_s_max": round(max(speeds)),
        "holds": statistics.median(speeds) >= GOAL_ROWS_PER_S,
    }
