"""`one_core`: the workers of one machine share its cores out, and each keeps all of its threads on its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from support.world import World

CORES = os.sched_getaffinity(0) if sys.platform == "linux" else set()
pytestmark = pytest.mark.skipif(len(CORES) < 2, reason="there is no choice of cores here")

SHARER = """
import os, sys, threading
from workers import cores
cores.NAMES = sys.argv[1]
core = cores.keep_to_one_core()
threading.Thread(target=lambda: print("core:", core, *os.sched_getaffinity(0), flush=True)).start()
sys.stdin.read()
"""


class Sharer:
    """A process that has asked for a core, and what a thread that it started then may run on."""

    def __init__(self, names: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", SHARER, names], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        said = next(line for line in iter(self.process.stdout.readline, "") if line.startswith("core:"))
        _, core, *may = said.split()
        self.core = None if core == "None" else int(core)
        self.may_run_on = set(map(int, may))

    def end(self) -> None:
        """Killed, as the worst of ends."""
        self.process.kill()
        self.process.communicate()


def cores_of_threads(pid: int) -> list[set[int]]:
    """What each thread of a process may run on."""
    return [os.sched_getaffinity(int(thread.name)) for thread in Path(f"/proc/{pid}/task").iterdir()]


def test_each_has_a_core_of_its_own_as_long_as_there_are_any() -> None:
    names = f"test-{uuid.uuid4()}"
    sharers: list[Sharer] = []
    try:
        sharers.extend(Sharer(names) for _ in CORES)
        assert {sharer.core for sharer in sharers} == CORES
        assert all(sharer.may_run_on == {sharer.core} for sharer in sharers)
        sharers.append(Sharer(names))
        assert sharers[-1].core is None
        assert sharers[-1].may_run_on == CORES, "one too many is left as it was"
        freed = sharers[0].core
        sharers[0].end()
        sharers.append(Sharer(names))
        assert sharers[-1].core == freed
    finally:
        for sharer in sharers:
            sharer.end()


@pytest.mark.settings(one_core=True)
async def test_a_worker_of_lanes_sends_with_all_of_its_threads_on_one_core(world: World) -> None:
    await world.a_sender()
    campaign = await world.a_campaign(people=20)
    async with world.workers(role="lanes") as [worker]:
        await world.accepts(campaign, 20)
        allowed = cores_of_threads(worker.pid)
        log = (world.folder / "workers.log").read_text()
    assert len(allowed) > 1, "the HTTP client has a thread of its own"
    if "every core has its worker" not in log:  # there may be other workers on this machine
        [core] = re.findall(r"keeps to one core.*core\W+(\d+)", log)
        assert allowed == [{int(core)}] * len(allowed)
