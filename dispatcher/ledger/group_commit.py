"""Gathers bodies that come in at the same time and writes them in one transaction.

A commit costs some milliseconds and a round trip whatever is in it, so thousands of webhooks a second need few of them.
Whoever hands a body in waits for its commit. What came in during `GATHER` is one load, written with one statement; two
loads at most are on their way, and everything else gathers behind them.

Invariant: nobody is told that a body is written before its commit, and a load that fails fails its own bodies alone.
"""

from __future__ import annotations

import asyncio
from asyncio import AbstractEventLoop, Future, Task, TimerHandle
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

from dispatcher.domain.errors import LedgerUnavailable

GATHER = timedelta(milliseconds=8)
"""How long a load stays open for company: at 5,000 a second forty bodies, for which one commit costs little."""
LOADS_AT_ONCE = 2
"""So that the next load need not wait for a slow disk."""
LOAD_BYTES = 8 * 2**20
"""A load that holds as much takes no further body."""


class Inbox(Protocol):
    """What is needed of `LedgerInbox`."""

    async def add(
        self, bodies: Sequence[bytes], *, within: timedelta, urgent: Sequence[bool] | None = None
    ) -> None:
        """Write bodies in one transaction. Raises LedgerUnavailable."""
        ...


@dataclass(slots=True, eq=False)
class _Load:
    """Bodies that are written together, and those who wait for it."""

    closes_s: float
    """By the loop's clock: when it is written at the earliest."""
    ends_s: float
    """By the loop's clock: when nobody waits any longer."""
    timer: TimerHandle = field(init=False)
    bodies: list[bytes] = field(default_factory=list)
    urgent: list[bool] = field(default_factory=list)
    waiting: list[Future[None]] = field(default_factory=list)
    size_bytes: int = 0

    def add(self, body: bytes, future: Future[None], *, is_urgent: bool) -> None:
        """One more."""
        self.bodies.append(body)
        self.urgent.append(is_urgent)
        self.waiting.append(future)
        self.size_bytes += len(body)

    def settle(self, error: LedgerUnavailable | None = None) -> None:
        """Tell everybody who still waits."""
        self.timer.cancel()
        for future in self.waiting:
            if future.done():
                continue
            if error is None:
                future.set_result(None)
            else:
                # why one each: an exception that is raised in many places collects the traces of all of them.
                future.set_exception(LedgerUnavailable(str(error), hint=error.hint))
        self.waiting.clear()


class InboxWriter:
    """Hands bodies to the inbox. Belongs to one event loop; ends when nobody waits."""

    def __init__(self, inbox: Inbox, *, patience: timedelta) -> None:
        """patience: how long anybody waits for the ledger."""
        self._inbox = inbox
        self._patience_s = patience.total_seconds()
        self._loads: deque[_Load] = deque()
        self._tasks: set[Task[None]] = set()

    async def write(self, body: bytes, *, is_urgent: bool = False) -> None:
        """Return once the body is committed. is_urgent: it is to be taken in before others.

        Raises LedgerUnavailable when the ledger is away, or is not done within the patience; it may be written then.
        """
        loop = asyncio.get_running_loop()
        load = self._loads[-1] if self._loads else None
        if load is None or load.size_bytes >= LOAD_BYTES:
            load = self._open(loop)
        future = loop.create_future()
        load.add(body, future, is_urgent=is_urgent)
        await future

    def _open(self, loop: AbstractEventLoop) -> _Load:
        now_s = loop.time()
        load = _Load(closes_s=now_s + GATHER.total_seconds(), ends_s=now_s + self._patience_s)
        load.timer = loop.call_at(load.ends_s, self._give_up, load)
        self._loads.append(load)
        if len(self._tasks) < LOADS_AT_ONCE:
            task = loop.create_task(self._write_all(loop))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return load

    def _give_up(self, load: _Load) -> None:
        """Its time is over, whether it still gathers, stands in line or is on its way."""
        if load in self._loads:
            self._loads.remove(load)
        load.settle(LedgerUnavailable(f"PostgreSQL did not answer within {self._patience_s:g} s"))

    async def _write_all(self, loop: AbstractEventLoop) -> None:
        while self._loads:
            stays_open_s = self._loads[0].closes_s - loop.time()
            if stays_open_s > 0:
                await asyncio.sleep(stays_open_s)
            else:
                await self._write(self._loads.popleft(), loop)

    async def _write(self, load: _Load, loop: AbstractEventLoop) -> None:
        error: LedgerUnavailable | None = LedgerUnavailable("the process was stopped before the commit")
        try:
            within = timedelta(seconds=load.ends_s - loop.time())
            await self._inbox.add(load.bodies, within=within, urgent=load.urgent)
            error = None
        except LedgerUnavailable as away:
            error = away
        finally:
            load.settle(error)
