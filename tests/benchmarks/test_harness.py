"""The harness: who runs when, and that every contestant hands over each message once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
import pytest

from benchmarks.contestants import entrants
from benchmarks.contestants.product import Dispatcher
from benchmarks.far_side import FarSide, far_side
from benchmarks.harness import Contestant, Ready, best_of, compete, run_once

SENDERS = 2


@pytest.fixture(scope="module")
def sink() -> Iterator[FarSide]:
    with far_side() as one:
        yield one


@dataclass(frozen=True)
class Walker:
    """Posts some messages from this process, some of them twice."""

    name: str
    messages: int
    log: list[str]
    repeats: int = 0

    @contextmanager
    def ready(self, sink: FarSide) -> Iterator[Ready]:
        self.log.append(self.name)
        yield Ready(lambda: self._post(sink.url), {"walker": [os.getpid()]})

    def _post(self, url: str) -> None:
        with httpx.Client() as client:
            for n in (*range(self.repeats), *range(self.messages)):
                body = f'{{"to":"+4915{n}","biz_opaque_callback_data":"house.1.{n}.1"}}'
                client.post(f"{url}/v25.0/2001/messages", content=body).raise_for_status()


def test_contestants_take_turns_and_meet_an_empty_sink_each_time(sink: FarSide) -> None:
    log: list[str] = []
    summaries = compete([Walker("a", 3, log), Walker("b", 2, log)], sink, rounds=2)
    assert log == ["a", "b", "a", "b"]
    assert [len(summary.samples) for summary in summaries.values()] == [2, 2]
    assert sum(summary.duplicates for summary in summaries.values()) == 0


def test_a_contestant_that_repeats_itself_is_found_out_and_gains_nothing(sink: FarSide) -> None:
    sample = run_once(Walker("twice", 4, [], repeats=3), sink)
    assert (sample.messages, sample.duplicates) == (4, 3)


def test_the_sink_is_no_part_of_what_a_message_costs(sink: FarSide) -> None:
    summary = compete([Walker("a", 5, [])], sink, rounds=1)["a"]
    assert summary.cpu_us() == summary.cpu_us("walker")
    assert summary.as_json()["cpu_us_per_message"].keys() == {"walker", "sink"}


def test_tuning_keeps_the_fastest(sink: FarSide) -> None:
    slow, fast = Walker("slow", 2, [], repeats=60), Walker("fast", 30, [])
    assert best_of([slow, fast], sink) is fast


CONTESTANTS = [
    entrants.raw(300, SENDERS),
    entrants.bare("pyreqwest", 100, SENDERS, 8),
    entrants.bare("httpx", 40, SENDERS, 4),
    entrants.arq(40, SENDERS, 10),
    pytest.param(
        entrants.celery(40, SENDERS, 2),
        marks=pytest.mark.skipif(
            not (entrants.is_installed("celery") and entrants.is_installed("requests")),
            reason="needs the extra `benchmarks`",
        ),
    ),
    Dispatcher("dispatcher", 300, SENDERS, campaigns=2),
]


@pytest.mark.parametrize("contestant", CONTESTANTS, ids=lambda one: one.name)
def test_every_contestant_hands_over_each_message_once(contestant: Contestant, sink: FarSide) -> None:
    sample = run_once(contestant, sink)
    assert sample.duplicates == 0
    assert sample.per_s > 0
    assert all(peak_mb > 1 for peak_mb in sample.peak_mb.values())
