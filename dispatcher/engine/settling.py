"""A turn's outcomes on their way into the ledger, and its unused tokens on their way back.

Outcomes are kept in memory until the ledger has confirmed them; writing one twice changes nothing, losing one would lose
the truth. They are written every tenth of a second, so that what a crash leaves in doubt stays small.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from dispatcher.domain.errors import LedgerUnavailable, LimitsUnavailable
from dispatcher.domain.grant import Granted, ReachToken, TurnPass
from dispatcher.domain.message import Outcome
from dispatcher.domain.turn import OpenedTurn
from dispatcher.ports import Limits, Telemetry, Turns

SETTLE_EVERY_S = 0.3
"""How long an outcome may wait to be written …"""
SETTLE_MOST = 100
"""… unless so many are there: what a crash leaves in doubt stays about a sub-batch, and a statement is worth its cost."""
LAST_SETTLE_S = 30.0
"""How long a turn tries to write its last outcomes to a ledger that is away; by then its lease has run out."""


class Settler:
    """Collects one turn's outcomes and tokens."""

    def __init__(
        self, opened: OpenedTurn, turn_pass: TurnPass, turns: Turns, limits: Limits, telemetry: Telemetry
    ) -> None:
        self._opened = opened
        self._pass = turn_pass
        self._turns = turns
        self._limits = limits
        self._telemetry = telemetry
        self._outcomes: list[Outcome] = []
        self._unposted: list[Granted] = []
        self._reach: list[ReachToken] = []
        self._writing = asyncio.Lock()
        self._is_due = asyncio.Event()

    def add(self, outcome: Outcome) -> None:
        """Note what became of a message."""
        self._outcomes.append(outcome)
        if len(self._outcomes) >= SETTLE_MOST:
            self._is_due.set()

    def hurry(self) -> None:
        """Write at once what there is; also ends the waiting of `write_steadily`."""
        self._is_due.set()

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

    async def write_steadily(self, done: asyncio.Event, on_failure: Callable[[], None]) -> None:
        """Write outcomes as they come, until the turn is done. `on_failure`: called when the ledger is away."""
        while not done.is_set():
            await pause(self._is_due, SETTLE_EVERY_S)
            self._is_due.clear()
            try:
                await self.write()
            except LedgerUnavailable:
                on_failure()
                return

    async def write(self) -> None:
        """Write what is there. Raises LedgerUnavailable; nothing is forgotten then."""
        async with self._writing:
            outcomes, self._outcomes = self._outcomes, []
            if not outcomes:
                return
            try:
                await self._turns.settle(self._opened, outcomes)
            except BaseException:
                self._outcomes = outcomes + self._outcomes
                raise
            self._telemetry.settled(outcomes)

    async def finish(self) -> None:
        """Write the rest, patiently, and give unused tokens back. Raises LedgerUnavailable."""
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(LedgerUnavailable),
            wait=wait_random_exponential(multiplier=0.05, max=2),
            stop=stop_after_delay(LAST_SETTLE_S),
            reraise=True,
        ):
            with attempt:
                await self.write()
        if self._unposted or self._reach:
            try:
                await self._limits.give_back(self._pass, self._unposted, self._reach)
            except LimitsUnavailable:
                # why nothing more is done: the tokens come back by themselves, within a day at the latest.
                self._telemetry.tokens_left(len(self._unposted) + len(self._reach))


async def pause(done: asyncio.Event, seconds: float) -> None:
    """Sleep, but no longer than until the event."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await done.wait()
