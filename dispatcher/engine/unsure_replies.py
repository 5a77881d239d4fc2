"""Replies whose answer was lost: to see them, to settle or release them, and what their policy decides.

A receipt settles them first (`intake.py`). While a reply is unsure those behind it wait, unless its policy is to give up.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta

from dispatcher.domain.errors import BadValue
from dispatcher.domain.ids import MessageId, SenderId
from dispatcher.domain.message import GIVEN_UP, MessageState
from dispatcher.domain.report import UnsureView
from dispatcher.engine.unsure import CHUNK, RESENDS
from dispatcher.ports import ReplyJobs, Telemetry, UnsureReplyBook


@dataclass(frozen=True, slots=True)
class UnsureReplies:
    """What operators and upkeep do about unsure replies."""

    book: UnsureReplyBook
    jobs: ReplyJobs
    telemetry: Telemetry
    grace: timedelta

    async def list(self, most: int, after: MessageId | None = None) -> tuple[int, Sequence[UnsureView]]:
        """How many there are, and the first of them after this one, by number."""
        return await self.book.list(None, most, self.grace, after)

    async def settle(self, replies: Sequence[MessageId] | None, to: MessageState) -> int:
        """An operator knows what became of them: accepted or refused. None: all. Returns how many were unsure."""
        if to not in (MessageState.ACCEPTED, MessageState.REFUSED):
            raise BadValue(f"an unsure reply cannot be settled as {to}; use accepted or refused")
        senders: list[SenderId] = []
        for some in await self._chunks(replies):
            senders += await self.book.settle(some, to, "settled_by_operator")
        await self._wake({*senders})
        return len(senders)

    async def release(self, replies: Sequence[MessageId] | None) -> int:
        """Have them posted again, though they may have arrived. None: all. Returns how many were unsure."""
        senders: list[SenderId] = []
        for some in await self._chunks(replies):
            senders += await self.book.release(some)
        await self._wake({*senders})
        return len(senders)

    async def decide(self) -> tuple[int, int]:
        """One round of upkeep: what policies decide now. Returns how many were given up, how many are posted again."""
        give_up, resend = await self.book.due(self.grace, CHUNK, RESENDS)
        given_up = await self.book.settle(give_up, MessageState.REFUSED, GIVEN_UP) if give_up else ()
        resent = await self.book.release(resend) if resend else ()
        await self._wake({*given_up, *resent})
        if given_up or resent:
            self.telemetry.unsure_decided(len(given_up), len(resent))
        return len(given_up), len(resent)

    async def _chunks(self, replies: Sequence[MessageId] | None) -> Sequence[Sequence[MessageId]]:
        """Those that are unsure now, a chunk per transaction."""
        count, _ = await self.book.list(replies, 0, self.grace)
        _, views = await self.book.list(replies, count, self.grace)
        ids = [view.ref.message_id for view in views]
        return [ids[n : n + CHUNK] for n in range(0, len(ids), CHUNK)]

    async def _wake(self, senders: Collection[SenderId]) -> None:
        """What waited behind an unsure reply may go."""
        for sender_id in senders:
            await self.jobs.wake(sender_id)
