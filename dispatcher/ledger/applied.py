"""Tells when urgent webhooks have been applied, to whoever wants to answer only then.

A body leaves the inbox in the transaction that applies it, so one that is not there any more has been applied. One question
answers for everybody who waits in this process, and nothing is asked while nobody does.
"""

from __future__ import annotations

import asyncio
from asyncio import Future, Task
from datetime import timedelta
from typing import Protocol

from dispatcher.domain.errors import LedgerUnavailable

LOOK_EVERY_S = 0.01


class Inbox(Protocol):
    """What is needed of `LedgerInbox`."""

    async def urgent(self) -> tuple[int, int] | None:
        """The first and the last urgent body that is not applied yet. Raises LedgerUnavailable."""
        ...


class AppliedWatch:
    """Waits for urgent bodies. Belongs to one event loop."""

    def __init__(self, inbox: Inbox, *, patience: timedelta) -> None:
        """patience: how long anybody waits."""
        self._inbox = inbox
        self._patience_s = patience.total_seconds()
        self._new: list[Future[None]] = []
        self._waiting: dict[Future[None], int] = {}
        """Whom → the last place in the inbox that must have left it."""
        self._task: Task[None] | None = None

    @property
    def waiting(self) -> int:
        """How many wait for a place in the inbox that is known."""
        return len(self._waiting)

    async def applied(self) -> bool:
        """Return once every urgent body that is in the inbox now has been applied; False if that takes too long."""
        future = asyncio.get_running_loop().create_future()
        self._new.append(future)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._look())
        try:
            async with asyncio.timeout(self._patience_s):
                await future
        except (TimeoutError, LedgerUnavailable):
            return False
        finally:
            self._waiting.pop(future, None)
        return True

    async def _look(self) -> None:
        while self._new or self._waiting:
            # why now: the question must come after the commit of whoever is answered by it.
            new, self._new = self._new, []
            try:
                found = await self._inbox.urgent()
            except LedgerUnavailable as error:
                for future in (*new, *self._waiting):
                    if not future.done():
                        future.set_exception(LedgerUnavailable(str(error)))
                self._waiting.clear()
                continue
            first, last = found or (0, 0)
            self._waiting.update((future, last) for future in new if not future.done())
            for future, place in list(self._waiting.items()):
                if found is None or place < first:
                    del self._waiting[future]
                    if not future.done():
                        future.set_result(None)
            if self._waiting:
                await asyncio.sleep(LOOK_EVERY_S)
