"""The operator's door to the fence: is this the ledger that shall send, and what follows when it is.

The fence itself is the gate's (`domain/gate.py`): it holds each turn while the ledger is not where it was confirmed to
be. The ledger is written first; then the limits forget what they believe to know, and the lanes are woken. Whatever
cannot be told because Redis is away is found again by upkeep and by the next rebuild.
"""

from __future__ import annotations

import contextlib

from dispatcher.domain.errors import LimitsUnavailable
from dispatcher.domain.fence import Confirmed, Fence
from dispatcher.engine.rebuild import rebuild_pool
from dispatcher.engine.tools import LaneTools
from dispatcher.ports import FenceBook, Jobs

PAUSED_BECAUSE = "the ledger was restored or copied: who was messaged since then is not known here"


class Fencing:
    """The engine's door for everything about the fence."""

    def __init__(self, book: FenceBook, jobs: Jobs, tools: LaneTools) -> None:
        self._book = book
        self._jobs = jobs
        self._tools = tools

    async def state(self) -> Fence:
        """How it stands, also by what Redis remembers of it."""
        with contextlib.suppress(LimitsUnavailable):
            await self._book.recall(await self._tools.witness.remembered())
        return await self._book.state()

    async def confirm(self, seen: Fence, *, keep_running: bool) -> Confirmed:
        """This is the ledger that shall send. Raises Conflict when somebody confirmed since `seen`.

        Running campaigns are paused, for people who were messaged after the copy was made look unsent here, and replies
        that wait are given up for the same reason; what a turn had claimed becomes unsure. keep_running: nothing was lost, so campaigns go on, and claims are left to reaping.
        """
        confirmed = await self._book.confirm(seen.epoch, because=None if keep_running else PAUSED_BECAUSE)
        await self._rebuild_limits()
        for lane in confirmed.lanes:
            await self._jobs.wake(lane)
        return confirmed

    async def _rebuild_limits(self) -> None:
        """End what the limits remember of the ledger's former life; whom they know to be reached stays reached."""
        # why suppressed: limits that cannot be asked grant nothing, and are rebuilt when they come back empty.
        with contextlib.suppress(LimitsUnavailable):
            for pool in {sender.pool for sender in await self._tools.senders.all()}:
                await rebuild_pool(self._tools, pool, force=True)
