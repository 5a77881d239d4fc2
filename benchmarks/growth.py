"""Whether a message costs the same when everything is larger: people, senders, worker processes, campaigns on one sender.

Each point is a run of the dispatcher of its own, all points in turn, round after round. Cost is the processor time per message
of worker processes, PostgreSQL and Valkey together; the sink's is not counted. A round of `--full` sends 1.7 million messages.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.contestants.product import Dispatcher
from benchmarks.far_side import far_side
from benchmarks.harness import Summary, compete

SENDERS = 20
SMALLER = 10
"""How much smaller without `--full`; the goals are not judged then, since a start costs too large a part of a short run."""
PEOPLE_GOAL, SENDERS_GOAL, MEMORY_GOAL, MEMORY_MB = 1.10, 1.30, 1.10, 200.0
PLOT = Path(__file__).parent / "plots" / "growth.png"

Points = Mapping[Dispatcher, Summary]


def arguments(parser: argparse.ArgumentParser) -> None:
    """The size."""
    parser.add_argument("--full", action="store_true", help="up to a million people and 200 senders")
    parser.add_argument("--points", nargs="*", choices=AXES, default=list(AXES), help="what grows")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--plot", action="store_true", help=f"draw {PLOT.name}; needs the extra `benchmarks`")


def run(given: argparse.Namespace) -> dict[str, Any]:
    """Measure it."""
    axes = {name: AXES[name](1 if given.full else SMALLER) for name in given.points}
    chosen = list(dict.fromkeys(point for points in axes.values() for point in points))
    with far_side() as sink:
        summaries = compete(chosen, sink, rounds=given.rounds)
    measured = {point: summaries[point.name] for point in chosen}
    if given.plot:
        from benchmarks.plots import plot_growth  # matplotlib is an extra

        plot_growth(
            {name: {point: measured[point] for point in points} for name, points in axes.items()}, PLOT
        )
    ratios = _ratios({name: [measured[point] for point in points] for name, points in axes.items()})
    peak_mb = max(summary.peak_mb("lanes") for summary in measured.values())
    duplicates = sum(summary.duplicates for summary in measured.values())
    return {
        "points": [_as_json(point, summary) for point, summary in measured.items()],
        **ratios,
        "worker_peak_mb": round(peak_mb, 1),
        "duplicates": duplicates,
        "rounds": given.rounds,
        "full": given.full,
        "holds": not duplicates
        and peak_mb <= MEMORY_MB
        and (not given.full or all(ratios.get(name, 0.0) <= goal for name, goal in GOALS.items())),
    }


GOALS = {
    "ratio_cpu_people": PEOPLE_GOAL,
    "ratio_cpu_senders": SENDERS_GOAL,
    "ratio_memory_people": MEMORY_GOAL,
}


def _people(smaller: int) -> Sequence[Dispatcher]:
    return [_point(people // smaller) for people in (10_000, 100_000, 1_000_000)]


def _senders(smaller: int) -> Sequence[Dispatcher]:
    return [_point(100_000 // smaller, senders=senders) for senders in (1, 20, 200)]


def _workers(smaller: int) -> Sequence[Dispatcher]:
    return [_point(100_000 // smaller, workers=workers) for workers in (1, 2)]


def _campaigns(smaller: int) -> Sequence[Dispatcher]:
    return [_point(100_000 // smaller, senders=1, campaigns=campaigns) for campaigns in (1, 10)]


AXES = {"people": _people, "senders": _senders, "workers": _workers, "campaigns": _campaigns}
"""What grows → the points of that, smallest first, so many times smaller than the full size."""


def _point(people: int, *, senders: int = SENDERS, workers: int = 1, campaigns: int = 1) -> Dispatcher:
    name = f"{people:,} people, {senders} senders, {workers} workers, {campaigns} campaigns"
    return Dispatcher(name, people, senders, workers, campaigns)


def _ratios(axes: Mapping[str, Sequence[Summary]]) -> dict[str, float]:
    """The cost at the largest point of each axis by that at the smallest; and the memory of the two largest audiences."""
    ratios = {f"ratio_cpu_{name}": points[-1].cpu_us() / points[0].cpu_us() for name, points in axes.items()}
    if "people" in axes:
        _, middle, largest = axes["people"]
        ratios["ratio_memory_people"] = largest.peak_mb("lanes") / middle.peak_mb("lanes")
    return {name: round(ratio, 3) for name, ratio in ratios.items()}


def _as_json(point: Dispatcher, summary: Summary) -> dict[str, Any]:
    return {
        "people": point.people,
        "senders": point.senders,
        "workers": point.workers,
        "campaigns": point.campaigns,
        "messages_per_s": round(summary.per_s),
        "cpu_us_per_message": round(summary.cpu_us(), 1),
        "worker_peak_mb": round(summary.peak_mb("lanes"), 1),
        "cpu_us_by_role": {
            role: round(summary.cpu_us(role), 1) for role in ("lanes", "upkeep", "postgres", "valkey", "sink")
        },
        "rounds_per_s": [round(sample.per_s) for sample in summary.samples],
    }
