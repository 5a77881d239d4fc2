"""Several worker processes under one parent, which replaces those that die and stops all when it is asked to."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Mapping, Sequence
from datetime import timedelta
from types import FrameType

import structlog

from dispatcher.leash import Leash, stop_all

_LOOK_EVERY_S = 0.2
_REPLACE_AFTER_S = 1.0
"""A process that dies at once, again and again, must not keep the machine busy."""

log = structlog.get_logger("workers")


def watch(command: Sequence[str], count: int, environment: Mapping[str, str], *, grace_s: float) -> int:
    """Keep `count` processes of a command running until SIGTERM or SIGINT; then end them gracefully. Returns 0."""
    stopping = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)

    def start() -> Leash:
        return Leash(
            command,
            stop_signal=signal.SIGTERM,
            grace=timedelta(seconds=grace_s),
            env={**os.environ, **environment},
        )

    processes = [start() for _ in range(count)]
    while not stopping.wait(_LOOK_EVERY_S):
        for place, process in enumerate(processes):
            if (code := process.poll()) is not None and not stopping.wait(_REPLACE_AFTER_S):
                log.error("a worker process died and is replaced", code=code)
                processes[place] = start()
    stop_all(processes)
    return 0
