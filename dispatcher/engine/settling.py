"""Outcomes on their way into the ledger, of all turns of one process together; and a turn's unused tokens on their way back.

A statement costs nearly as much for twenty messages as for two hundred, and with many lanes each has only a few: so the
turns of a process share one, ten times a second or when enough have come together. Outcomes are kept in memory until the
ledger has confirmed them; writing one twice changes nothing, losing one would lose the truth.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection

from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from dispatcher.domain.errors import LedgerUnavailable, LimitsUnavailable
from dispatcher.domain.grant import Granted, ReachToken, TurnPass
from dispatcher.domain.ids import MessageId
from dispatcher.domain.message import Outcome
from dispatcher.domain.turn import OpenedTurn, Taken
from dispatcher.ports import Limits, Telemetry, Turns

SETTLE_EVERY_S = 0.1
"""How long an outcome may wait to be written …"""
SETTLE_MOST = 500
"""… unless so many are there, of all turns together."""
LAST_SETTLE_S = 30.0
"""How long a turn tries to write its last outcomes to a ledger that is away; by then its lease has run out."""


class Settling:
    """Writes what the turns of one process have to say. It has a task of its own while there are turns."""

    def __init__(self, turns: Turns, limits: Limits, telemetry: Telemetry) -> None:
        self.limits = limits
        self.telemetry = telemetry
        self._turns = turns
        self._settlers: set[Settler] = set()
        self._noted = 0
        self._is_due = asyncio.Event()
        self._writing = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    def open(self, turn: OpenedTurn, turn_pass: TurnPass, on_failure: Callable[[], None]) -> Settler:
        """For one turn, until its `finish`. on_failure: called when its outcomes could not be written; they are kept."""
        settler = Settler(self, turn, turn_pass, on_failure)
        self._settlers.add(settler)
        if self._task is None:
            self._task = asyncio.create_task(self._write_steadily())
        return settler

    def leave(self, settler: Settler) -> None:
        """A turn that has nothing more to say, or must not be waited for."""
        self._settlers.discard(settler)
        if not self._settlers:
            self._is_due.set()

    def note(self) -> None:
        """One more outcome."""
        self._noted += 1
        if self._noted == SETTLE_MOST:
            self._is_due.set()

    async def write(self, settlers: Collection[Settler]) -> None:
        """Write what these have. Raises LedgerUnavailable; nothing is forgotten then."""
        async with self._writing:
            await self._write_accepted([settler for settler in settlers if settler.ids])
            for settler in settlers:
                if settler.others:
                    await self._write_others(settler)

    async def _write_steadily(self) -> None:
        try:
            while self._settlers:
                await pause(self._is_due, SETTLE_EVERY_S)
                self._is_due.clear()
                self._noted = 0
                await self._write_for(tuple(self._settlers))
        finally:
            self._task = None

    async def _write_for(self, settlers: Collection[Settler]) -> None:
        try:
            await self.write(settlers)
        except Exception:  # noqa: BLE001 - each turn ends, writes its own once more, and so meets its own error
            for settler in settlers:
                settler.on_failure()

    async def _write_accepted(self, settlers: Collection[Settler]) -> None:
        """Nearly all of them: one statement for all turns."""
        if not settlers:
            return
        taken = [Taken(settler.turn, settler.ids, settler.wamids) for settler in settlers]
        for settler in settlers:
            settler.ids, settler.wamids = [], []
        try:
            await self._turns.settle_accepted(taken)
        except BaseException:
            for settler, (_, ids, wamids) in zip(settlers, taken, strict=True):
                settler.ids, settler.wamids = [*ids, *settler.ids], [*wamids, *settler.wamids]
            raise
        self.telemetry.accepted(sum(len(ids) for _, ids, _ in taken))

    async def _write_others(self, settler: Settler) -> None:
        outcomes, settler.others = settler.others, []
        try:
            await self._turns.settle(settler.turn, outcomes)
        except BaseException:
            settler.others = outcomes + settler.others
            raise
        self.telemetry.settled(outcomes)


class Settler:
    """One turn's outcomes that are not written yet, and its tokens."""

    def __init__(
        self, settling: Settling, turn: OpenedTurn, turn_pass: TurnPass, on_failure: Callable[[], None]
    ) -> None:
        self.turn = turn
        self.on_failure = on_failure
        self.ids: list[MessageId] = []
        """Messages that Meta took, with nothing more to say; `wamids` in the same order."""
        self.wamids: list[str] = []
        self.others: list[Outcome] = []
        self._settling = settling
        self._pass = turn_pass
        self._unposted: list[Granted] = []
        self._reach: list[ReachToken] = []

    def accept(self, message_id: MessageId, wamid: str) -> None:
        """Note that Meta took a message."""
        self.ids.append(message_id)
        self.wamids.append(wamid)
        self._settling.note()

    def add(self, outcome: Outcome) -> None:
        """Note whatever else became of a message."""
        self.others.append(outcome)
        self._settling.note()

    def return_grant(self, granted: Granted) -> None:
        """A grant that was never written to the wire."""
        self._unposted.append(granted)

    def return_reach(self, token: ReachToken) -> None:
        """The reach token of a post that Meta certainly did not take."""
        self._reach.append(token)

    @property
    def has_returned_reach(self) -> bool:
        """Whether people were granted who were not reached, so that others can be."""
        return bool(self._reach) or any(granted.reach for granted in self._unposted)

    def abandon(self) -> None:
        """The turn is at fault and will be reaped: nothing is written for it any more."""
        self._settling.leave(self)

    async def finish(self) -> None:
        """Write the rest, patiently, and give unused tokens back. Raises LedgerUnavailable."""
        try:
            async for attempt in AsyncRetrying(
                retry=retry_if_exception_type(LedgerUnavailable),
                wait=wait_random_exponential(multiplier=0.05, max=2),
                stop=stop_after_delay(LAST_SETTLE_S),
                reraise=True,
            ):
                with attempt:
                    await self._settling.write([self])
        finally:
            self._settling.leave(self)
        if self._unposted or self._reach:
            try:
                await self._settling.limits.give_back(self._pass, self._unposted, self._reach)
            except LimitsUnavailable:
                # why nothing more is done: the tokens come back by themselves, within a day at the latest.
                self._settling.telemetry.tokens_left(len(self._unposted) + len(self._reach))


async def pause(done: asyncio.Event, seconds: float) -> None:
    """Sleep, but no longer than until the event."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await done.wait()
