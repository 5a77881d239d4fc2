"""A reply turn's outcomes on their way into the ledger, each by itself and at once, and its unused grants on their way back.

An outcome is kept in memory until the ledger has confirmed it; writing it twice changes nothing, losing it would lose the
truth.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from dispatcher.domain.errors import LedgerUnavailable, LimitsUnavailable
from dispatcher.domain.grant import Granted, TurnPass
from dispatcher.domain.ids import MessageId
from dispatcher.domain.message import Outcome
from dispatcher.domain.queued_reply import OpenedReplyTurn
from dispatcher.engine.reply_tools import ReplyTools

LAST_SETTLE_S = 30.0
"""How long an outcome is tried to be written to a ledger that is away; by then the lease has run out."""


class ReplySettler:
    """Collects one turn's outcomes."""

    def __init__(self, tools: ReplyTools, opened: OpenedReplyTurn, turn_pass: TurnPass) -> None:
        self._tools = tools
        self._opened = opened
        self._pass = turn_pass
        self._unwritten: dict[MessageId, Outcome] = {}

    def add(self, outcome: Outcome) -> None:
        """Note what became of a reply, to be written at the end."""
        self._unwritten[outcome.message_id] = outcome

    async def settle(self, outcome: Outcome) -> None:
        """Write it now, patiently; what cannot be written yet is tried again at the end."""
        self.add(outcome)
        with contextlib.suppress(LedgerUnavailable):
            await self._write(outcome)

    async def finish(self) -> None:
        """Write the rest. Raises LedgerUnavailable: then the turn must not be closed, and is reaped in the end."""
        for outcome in tuple(self._unwritten.values()):
            await self._write(outcome)

    async def give_back(self, granted: Sequence[Granted]) -> None:
        """Grants that were never written to the wire."""
        if not granted:
            return
        try:
            await self._tools.shared.limits.give_back(self._pass, granted, ())
        except LimitsUnavailable:
            # why nothing more is done: the tokens come back by themselves.
            self._tools.shared.telemetry.tokens_left(len(granted))

    async def _write(self, outcome: Outcome) -> None:
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(LedgerUnavailable),
            wait=wait_random_exponential(multiplier=0.05, max=2),
            stop=stop_after_delay(LAST_SETTLE_S),
            reraise=True,
        ):
            with attempt:
                await self._tools.turns.settle(self._opened, outcome)
        self._unwritten.pop(outcome.message_id, None)
        self._tools.shared.telemetry.reply_settled(outcome)
