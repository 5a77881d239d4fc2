"""Eight real processes race for one tier on one real server."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
from limits_racer import race
from limits_servers import a_valkey

PROCESSES, RUNS, TIER, PEOPLE = 8, 20, 1_000, 5_000


@pytest.mark.slow
def test_eight_processes_reach_exactly_the_tier_in_each_of_twenty_runs(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    shares = [range(racer, PEOPLE, PROCESSES) for racer in range(PROCESSES)]
    with (
        a_valkey(tmp_path) as server,
        context.Manager() as manager,
        ProcessPoolExecutor(PROCESSES, mp_context=context) as pool,
    ):
        barrier = manager.Barrier(PROCESSES)
        racers = [
            pool.submit(race, server.url, racer, RUNS, TIER, share, barrier)
            for racer, share in enumerate(shares)
        ]
        granted = [racer.result() for racer in racers]
    for run in range(RUNS):
        reached = [person for of_racer in granted for person in of_racer[run]]
        assert len(reached) == len({*reached}) == TIER
