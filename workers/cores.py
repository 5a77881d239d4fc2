"""A core of its own for a worker process: the setting `one_core`.

A worker is two threads that need one lock in turn: Python's, and that of the HTTP client. On two cores each wakes the other
across them, message by message, to find the lock taken again; on one core whoever has it goes on. On a machine of two cores
that did everything, a message took the worker a fifth less time, and 18 % more went out (`benchmarks dispatch`, seven
interleaved rounds).

Processes of one machine tell each other by names of sockets which cores are taken; a name is gone with its process, however
that ends. Containers with networks of their own do not see each other's names: there the setting is for those whose cores
are their own, too.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys

import structlog

NAMES = "dispatcher-core"

log = structlog.get_logger("workers")

_held: list[socket.socket] = []
"""Nothing is said through them; their names are taken for as long as they are open."""


def keep_to_one_core() -> int | None:
    """Have this thread, and those that it will start, run on a core that no other worker of this machine has taken.

    Returns which; None where all are taken, or where there is no choice: then nothing has changed.
    """
    if sys.platform != "linux":
        log.warning("one_core has no effect here", platform=sys.platform)
        return None
    allowed = os.sched_getaffinity(0)
    if len(allowed) == 1:
        return None
    # why from the last: devices are commonly served by the first.
    for core in sorted(allowed, reverse=True):
        if _take(core):
            os.sched_setaffinity(0, {core})
            # why: a thread that wakes up waits until the other has come to a stop; that bought 6 %.
            with contextlib.suppress(PermissionError):
                os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
            log.info("the process keeps to one core", core=core)
            return core
    log.warning("one_core: every core has its worker; this process runs on any", cores=len(allowed))
    return None


def _take(core: int) -> bool:
    """Whether the core was free; it is ours then, until the process ends."""
    name = socket.socket(socket.AF_UNIX)
    try:
        name.bind(f"\0{NAMES}-{core}")
    except OSError:
        name.close()
        return False
    _held.append(name)
    return True
