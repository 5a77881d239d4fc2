"""Lets contestants run in turn, A B A B …, against one sink, and says how fast each was and what it cost.

Each run of a contestant begins with processes of its own and an empty sink; nothing else runs meanwhile, and no round's
left-over helps the next. Time counts from the word go to the last arrival at the sink, by the machine's monotonic clock.
Processor time is what all processes of a role used in between, their children included; memory is the peak of the largest
process of a role, as the kernel has kept it. Meanwhile the harness sleeps, but for a short question to the sink twenty times a
second: whatever it did would be taken from two cores that all share. What a contestant does is left to `contestants/`.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import psutil

from benchmarks.far_side import FarSide

SINK = "sink"
SLOWEST_PER_S = 50
"""A contestant that is slower than this hangs."""
PATIENCE_S = 30.0


@dataclass(frozen=True, slots=True)
class Ready:
    """A contestant whose processes run and whose messages are prepared."""

    go: Callable[[], None]
    """Begin. Returns at once."""
    processes: Mapping[str, Sequence[int]]
    """Role → process ids; a process's children belong to it."""
    finish: Callable[[], None] = lambda: None
    """Called when all messages have arrived: put in order what is left to do. Raises AssertionError if something is wrong."""
    counts_from_go: bool = True
    """If not, time counts from the first arrival: for those that look at their queue now and then."""


class Contestant(Protocol):
    """Something that posts messages to a sink."""

    @property
    def name(self) -> str:
        """Short, for tables."""
        ...

    @property
    def messages(self) -> int:
        """How many it posts in one round."""
        ...

    def ready(self, sink: FarSide) -> AbstractContextManager[Ready]:
        """Start what it needs; stop it at the end."""
        ...


@dataclass(frozen=True, slots=True)
class Sample:
    """One round of one contestant."""

    messages: int
    seconds: float
    cpu_s: Mapping[str, float]
    """By role."""
    peak_mb: Mapping[str, float]
    """By role, of its largest process."""
    duplicates: int

    @property
    def per_s(self) -> float:
        """Messages per second."""
        return self.messages / self.seconds


@dataclass(slots=True)
class Summary:
    """All rounds of one contestant."""

    name: str
    samples: list[Sample] = field(default_factory=list)

    @property
    def per_s(self) -> float:
        """Messages per second, the median."""
        return statistics.median(sample.per_s for sample in self.samples)

    @property
    def duplicates(self) -> int:
        """Messages that came more than once, in all rounds together."""
        return sum(sample.duplicates for sample in self.samples)

    def cpu_us(self, *roles: str) -> float:
        """Processor time per message of these roles together, the median; of all but the sink without any."""
        return statistics.median(
            sum(spent for role, spent in sample.cpu_s.items() if (role in roles if roles else role != SINK))
            / sample.messages
            * 1e6
            for sample in self.samples
        )

    def peak_mb(self, role: str) -> float:
        """The most that any process of the role held in any round; 0 for a role it does not have."""
        return max(sample.peak_mb.get(role, 0.0) for sample in self.samples)

    def as_json(self) -> dict[str, Any]:
        """Every figure, rounded."""
        roles = list(self.samples[0].cpu_s)
        each = [sample.per_s for sample in self.samples]
        return {
            "name": self.name,
            "messages": self.samples[0].messages,
            "per_s": {"median": round(self.per_s), "min": round(min(each)), "max": round(max(each))},
            "rounds_per_s": [round(one) for one in each],
            "cpu_us_per_message": {role: round(self.cpu_us(role), 1) for role in roles},
            "peak_mb": {role: round(self.peak_mb(role), 1) for role in roles},
            "duplicates": self.duplicates,
        }


def compete(contestants: Sequence[Contestant], sink: FarSide, *, rounds: int) -> Mapping[str, Summary]:
    """All of them, one after the other, as many times as there are rounds. Tells standard error how it goes."""
    summaries = {contestant.name: Summary(contestant.name) for contestant in contestants}
    assert len(summaries) == len(contestants), "contestants need names of their own"
    for number in range(1, rounds + 1):
        for contestant in contestants:
            sample = run_once(contestant, sink)
            summaries[contestant.name].samples.append(sample)
            say(f"round {number}/{rounds}  {contestant.name:32} {sample.per_s:9,.0f}/s")
    return summaries


def best_of(candidates: Sequence[Contestant], sink: FarSide) -> Contestant:
    """The fastest in one short round each: how a contestant is tuned before it counts."""
    speeds = []
    for candidate in candidates:
        sample = run_once(candidate, sink)
        speeds.append(sample.per_s)
        say(f"tuning     {candidate.name:32} {sample.per_s:9,.0f}/s")
    return candidates[speeds.index(max(speeds))]


def run_once(contestant: Contestant, sink: FarSide) -> Sample:
    """One round. Raises TimeoutError when messages stay away, AssertionError when its own books are wrong."""
    sink.reset()
    with contestant.ready(sink) as ready:
        work = Work({**ready.processes, SINK: [sink.pid]})
        began_s = time.monotonic()
        ready.go()
        record = sink.wait_for(
            lambda seen: bool(seen["accepted"] - seen["duplicates"] >= contestant.messages),
            most_s=PATIENCE_S + contestant.messages / SLOWEST_PER_S,
        )
        ready.finish()
        cpu_s, peak_mb = work.cpu_s(), work.peak_mb()
    return Sample(
        contestant.messages,
        record["last_s"] - (began_s if ready.counts_from_go else record["first_s"]),
        cpu_s,
        peak_mb,
        sink.record()["duplicates"],
    )


class Work:
    """What processes spend on the processor from now on, and what they hold in memory, by role."""

    def __init__(self, roles: Mapping[str, Sequence[int]]) -> None:
        self._roles = {role: [psutil.Process(pid) for pid in pids] for role, pids in roles.items()}
        self._before_s = self._spent_s()

    def cpu_s(self) -> dict[str, float]:
        """User and system time since the beginning."""
        return {role: spent - self._before_s[role] for role, spent in self._spent_s().items()}

    def peak_mb(self) -> dict[str, float]:
        """The most that any one process of a role has ever held; megabytes of 10^6 bytes."""
        return {
            role: max(_peak_mb(process) for process in _with_children(roots))
            for role, roots in self._roles.items()
        }

    def _spent_s(self) -> dict[str, float]:
        return {
            role: sum(_spent_s(process) for process in _with_children(roots))
            for role, roots in self._roles.items()
        }


def _with_children(roots: Sequence[psutil.Process]) -> Iterator[psutil.Process]:
    for root in roots:
        try:
            yield from (root, *root.children(recursive=True))
        except psutil.NoSuchProcess:
            continue


def _spent_s(process: psutil.Process) -> float:
    """Its own, and that of its children that have ended."""
    try:
        spent = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(spent.user + spent.system + spent.children_user + spent.children_system)


def _peak_mb(process: psutil.Process) -> float:
    """Resident memory; where the kernel keeps no peak in /proc (not Linux), what it is now. 0 for one that has ended."""
    try:
        status = Path(f"/proc/{process.pid}/status").read_text()
    except FileNotFoundError:
        status = ""
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1_024 / 1e6
    try:
        return float(process.memory_info().rss / 1e6)
    except psutil.NoSuchProcess:
        return 0.0


def say(line: str) -> None:
    """Tell the person who waits."""
    print(line, file=sys.stderr, flush=True)
