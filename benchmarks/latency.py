"""How soon an order is felt: from the start of a campaign to its first post at the sink, from a pause to the last post.

Both count from before the order is given, so the command's own way through the ledger is in it, and end at an arrival by the
sink's clock, which is the same monotonic one. One house, one sender at 1,000/s, a new campaign in each round.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

from benchmarks.contestants.product import House, open_house
from benchmarks.far_side import FarSide, far_side

PEOPLE = 5_000
"""Of one campaign: more than go out until the pause."""
FIRST_POST_MS, LAST_POST_MS = 300, 1_000
RUNS_S = 1.0
QUIET_S = 1.5
"""After a pause, to be sure that nothing comes any more."""
BETWEEN_S = 0.3
"""Between two rounds, so that a start meets a house at rest, at ever another moment of its clocks."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """How often, and how far away the sink is."""
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--latency-ms", type=float, default=0.0, help="of the sink's answers")


def run(given: argparse.Namespace) -> dict[str, Any]:
    """Measure it."""
    first_ms, last_ms = [], []
    with (
        far_side(latency_ms=given.latency_ms) as sink,
        open_house(sink, senders=1, rate="1000/s", lanes=1) as house,
    ):
        for number in range(given.rounds):
            time.sleep(BETWEEN_S + 0.037 * number)
            first, last = _round(house, sink)
            first_ms.append(first)
            last_ms.append(last)
        duplicates = sink.record()["duplicates"]
    return {
        "start_to_first_post_ms": round(statistics.median(first_ms)),
        "start_to_first_post_max_ms": round(max(first_ms)),
        "pause_to_last_post_ms": round(statistics.median(last_ms)),
        "pause_to_last_post_max_ms": round(max(last_ms)),
        "rounds": given.rounds,
        "latency_ms": given.latency_ms,
        "duplicates": duplicates,
        "holds": not duplicates
        and statistics.median(first_ms) <= FIRST_POST_MS
        and max(last_ms) <= LAST_POST_MS,
    }


def _round(house: House, sink: FarSide) -> tuple[float, float]:
    """Milliseconds to the first post, and from the pause to the last; the latter negative if it came before the order."""
    campaigns = house.app.campaigns
    campaign_id = house.draft(PEOPLE)
    sink.reset()
    started_s = time.monotonic()
    house.run(campaigns.start(campaign_id))
    first_s = sink.wait_for(lambda seen: bool(seen["accepted"]), most_s=30)["first_s"]
    time.sleep(RUNS_S)
    paused_s = time.monotonic()
    house.run(campaigns.pause(campaign_id))
    time.sleep(QUIET_S)
    record = sink.record()
    assert record["accepted"] < PEOPLE, "the campaign was over before the pause"
    house.run(campaigns.cancel(campaign_id))
    return (first_s - started_s) * 1_000, (record["last_s"] - paused_s) * 1_000
