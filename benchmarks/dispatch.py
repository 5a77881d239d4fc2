"""How fast the dispatcher is, beside its own HTTP client alone and beside one job per message.

All post the same messages to the same sink, in turn, round after round. The dispatcher and the bare loop of its client send
`--messages` with as many posts at once; those that are much slower send `--slow-messages`, which takes them as long.
The dispatcher's worker keeps to one core, as is recommended where nothing else wants it; without that it competes a second
time. The bare loop is quicker on any core, and has any.
arq, Celery and httpx are tuned first: each tries a few sizes, the fastest competes.
`--tls` and `--latency-ms` put the sink as far away as the platform is.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.contestants import entrants
from benchmarks.contestants.product import Dispatcher
from benchmarks.far_side import FarSide, far_side
from benchmarks.harness import Contestant, Summary, best_of, compete, say
from dispatcher.settings import Settings

TO_BARE = 0.60
TO_ARQ = 25.0
ARQ_JOBS = (5, 10, 50, 200)
CELERY_PROCESSES = (2, 4, 8)
HTTPX_AT_ONCE = (4, 16, 64)
PEERS = ("httpx", "arq", "celery")
PLOT = Path(__file__).parent / "plots" / "contestants.png"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The size, and who competes."""
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--slow-messages", type=int, default=3_000, help="of httpx, arq and Celery")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--senders", type=int, default=20)
    parser.add_argument("--in-flight", type=int, help="posts at once; the dispatcher's default otherwise")
    parser.add_argument(
        "--peers", nargs="*", choices=PEERS, default=PEERS, help="who competes besides the bare loop"
    )
    parser.add_argument("--latency-ms", type=float, default=0.0, help="of the sink's answers")
    parser.add_argument("--tls", action="store_true", help="messages go by TLS")
    parser.add_argument("--plot", action="store_true", help=f"draw {PLOT.name}; needs the extra `benchmarks`")


def run(given: argparse.Namespace) -> dict[str, Any]:
    """Measure it."""
    with far_side(latency_ms=given.latency_ms, tls=given.tls) as sink:
        contestants, left_out = _contestants(given, sink)
        summaries = compete(list(contestants.values()), sink, rounds=given.rounds)
    by_role = {role: summaries[contestant.name] for role, contestant in contestants.items()}
    if given.plot:
        from benchmarks.plots import plot_contestants  # matplotlib is an extra

        plot_contestants(by_role, PLOT)
    return _result(given, by_role, left_out)


def _contestants(given: argparse.Namespace, sink: FarSide) -> tuple[Mapping[str, Contestant], Sequence[str]]:
    """Who competes under which key, tuned; and who cannot."""
    in_flight = given.in_flight or Settings.load().in_flight
    many, few, senders = given.messages, given.slow_messages, given.senders
    chosen: dict[str, Contestant] = {
        "dispatch": Dispatcher("dispatcher on one core", many, senders, in_flight=in_flight, one_core=True),
        "dispatch_any_core": Dispatcher("dispatcher on any core", many, senders, in_flight=in_flight),
        "bare": entrants.bare("pyreqwest", many, senders, in_flight),
    }
    if not given.tls:
        chosen["sink_ceiling"] = entrants.raw(many, senders)
    left_out = []
    if "httpx" in given.peers:
        chosen["httpx"] = best_of([entrants.bare("httpx", few, senders, n) for n in HTTPX_AT_ONCE], sink)
    if "arq" in given.peers:
        chosen["arq_per_message"] = best_of([entrants.arq(few, senders, n) for n in ARQ_JOBS], sink)
    if "celery" in given.peers:
        missing = [name for name in ("celery", "requests") if not entrants.is_installed(name)]
        if missing:
            left_out.append(f"celery: {' and '.join(missing)} not installed (extra `benchmarks`)")
            say(left_out[-1])
        else:
            chosen["celery"] = best_of([entrants.celery(few, senders, n) for n in CELERY_PROCESSES], sink)
    return chosen, left_out


def _result(
    given: argparse.Namespace, by_role: Mapping[str, Summary], left_out: Sequence[str]
) -> dict[str, Any]:
    per_s = {role: summary.per_s for role, summary in by_role.items()}
    ratios = {
        f"ratio_to_{role}{suffix}": round(per_s[f"dispatch{suffix}"] / per_s[role], 3)
        for suffix in ("", "_any_core")
        for role in ("bare", "arq_per_message", "celery")
        if role in per_s
    }
    duplicates = sum(summary.duplicates for summary in by_role.values())
    ceiling = per_s.pop("sink_ceiling", None)
    return {
        **{f"{role}_per_s": round(speed) for role, speed in per_s.items()},
        **ratios,
        "sink_ceiling_per_s": None if ceiling is None else round(ceiling),
        "dispatch_cpu_us_per_message": round(by_role["dispatch"].cpu_us(), 1),
        "bare_cpu_us_per_message": round(by_role["bare"].cpu_us(), 1),
        "duplicates": duplicates,
        "messages": given.messages,
        "slow_messages": given.slow_messages,
        "rounds": given.rounds,
        "senders": given.senders,
        "latency_ms": given.latency_ms,
        "tls": given.tls,
        "left_out": list(left_out),
        "contestants": [{"role": role, **summary.as_json()} for role, summary in by_role.items()],
        "holds": not duplicates
        and ratios["ratio_to_bare"] >= TO_BARE
        and ratios.get("ratio_to_arq_per_message", TO_ARQ) >= TO_ARQ
        and (ceiling is None or ceiling > max(per_s.values())),
    }
