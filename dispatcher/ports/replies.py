"""What replies need: their side of the ledger, bodies for Meta, wake-ups."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

from dispatcher.domain.hold import Hold
from dispatcher.domain.ids import ConversationId, MessageId, PersonKey, SenderId
from dispatcher.domain.listing import Page
from dispatcher.domain.message import MessageState, Outcome
from dispatcher.domain.posted import Posted
from dispatcher.domain.queued_reply import (
    Addressee,
    Claimed,
    ClaimedReply,
    DeadReplyTurn,
    KnownReply,
    OpenedReplyTurn,
    ReplyDraft,
    ReplyView,
)
from dispatcher.domain.reply import FreeForm
from dispatcher.domain.report import Fault, UnsureView
from dispatcher.domain.sender import Sender
from dispatcher.ports.lane import Channel


class ReplyBook(Protocol):
    """Replies in the ledger: orders and questions."""

    async def addressee(self, sender: Sender, key: PersonKey | None, user_id: str | None) -> Addressee | None:
        """A person who is known by a key or a user id; None where they have never written to the sender."""
        ...

    async def queue(self, draft: ReplyDraft) -> tuple[MessageId, int] | None:
        """Store it at the end of its conversation: its number and its position.

        None where the window is closed, or another reply has the key; nothing is stored then. Raises Busy.
        """
        ...

    async def by_key(self, sender: Sender, key: str) -> KnownReply | None:
        """The reply that was queued under a key."""
        ...

    async def view(self, reply_id: MessageId) -> ReplyView:
        """Raises NotFound."""
        ...

    async def recent(
        self,
        most: int,
        *,
        sender: SenderId | None = None,
        conversation: ConversationId | None = None,
        state: MessageState | None = None,
    ) -> Sequence[ReplyView]:
        """The newest first."""
        ...

    async def page(
        self,
        before: MessageId | None,
        limit: int,
        *,
        sender: SenderId | None = None,
        conversation: ConversationId | None = None,
        state: MessageState | None = None,
    ) -> Page[ReplyView, MessageId]:
        """The newest first, those before this one; a page of one state may be short, or empty, and say where to go on."""
        ...

    async def cancel(self, reply_id: MessageId) -> SenderId | None:
        """Give up a pending reply. Returns its sender; None when it is not pending."""
        ...

    async def bounds(self, sender: Sender) -> tuple[Sequence[Hold], Sequence[str]]:
        """Holds in force on the sender, its account and portfolio; and what tells the ledger's place from the confirmed."""
        ...

    async def check(self) -> Sequence[Fault]:
        """Prove the order; empty when all is well."""
        ...


class ReplyTurns(Protocol):
    """The reply lane's side of the ledger. Every change is a compare-and-set on turn and state."""

    async def open_turn(
        self, sender_id: SenderId, owner: str, lease: timedelta, remembered: int
    ) -> OpenedReplyTurn | None:
        """Begin a turn; None when there is no such sender. remembered: the pulse that the witness remembers."""
        ...

    async def heartbeat(self, turn: OpenedReplyTurn, lease: timedelta) -> bool:
        """Prolong the lease; False when the sender is not what it was. Raises LeaseLost when the turn was reaped."""
        ...

    async def claim(self, turn: OpenedReplyTurn, limit: int) -> Claimed:
        """Lease the first unfinished reply of each conversation, oldest first. Raises LeaseLost when reaped."""
        ...

    async def settle(self, turn: OpenedReplyTurn, outcome: Outcome) -> bool:
        """Write what became of a reply; False when it was not the turn's any more."""
        ...

    async def close_turn(self, turn: OpenedReplyTurn) -> None:
        """End it. Raises NotSettled while it has replies claimed, LeaseLost when it was reaped."""
        ...

    async def dead_turns(self) -> Sequence[DeadReplyTurn]:
        """Turns whose lease has run out."""
        ...

    async def reap(self, dead: DeadReplyTurn, handed: frozenset[MessageId] | None) -> tuple[int, int] | None:
        """Settle a dead turn: those in `handed` become unsure (all, if None), the others pending again.

        Returns how many there were, and how many are unsure; None when somebody else was quicker.
        """
        ...

    async def due_senders(self) -> Sequence[tuple[Sender, Sequence[Hold]]]:
        """Senders with a reply that could be claimed now, each with the holds in force on it."""
        ...


class UnsureReplyBook(Protocol):
    """Unsure replies in the ledger. Whatever ends one is a compare-and-set on that state."""

    async def list(
        self,
        replies: Sequence[MessageId] | None,
        most: int,
        grace: timedelta,
        after: MessageId | None = None,
    ) -> tuple[int, Sequence[UnsureView]]:
        """How many there are in all, and the first of them after this one, or of those that are named."""
        ...

    async def due(
        self, grace: timedelta, most: int, resends: int
    ) -> tuple[Sequence[MessageId], Sequence[MessageId]]:
        """Those that their policies decide on now: to be given up, to be posted again."""
        ...

    async def settle(self, replies: Sequence[MessageId], to: MessageState, reason: str) -> Sequence[SenderId]:
        """End them as accepted or refused. Returns the sender of each that was still unsure."""
        ...

    async def release(self, replies: Sequence[MessageId]) -> Sequence[SenderId]:
        """Have them posted again. Returns the sender of each that was still unsure."""
        ...


class ReplyPayloads(Protocol):
    """Bodies of free-form messages."""

    def content(self, content: FreeForm) -> Mapping[str, Any]:
        """What a reply says, as Meta takes it; kept until it is posted."""
        ...

    def render(self, reply: ClaimedReply, token: str) -> bytes:
        """The body of one request."""
        ...

    def mark_read(self, wamid: str, *, is_typing: bool) -> bytes:
        """The body that marks an inbound message as read."""
        ...


class ReplyChannel(Channel, Protocol):
    """The way to Meta for replies, with slots that no campaign takes."""

    async def mark(self, sender: Sender, body: bytes) -> Posted:
        """Post a mark, which is no message: ACCEPTED has no wamid. Repeating it does no harm."""
        ...


class ReplyJobs(Protocol):
    """Wake-ups of the reply lane. They carry no truth: a lost one is found again by upkeep."""

    async def wake(self, sender_id: SenderId, at: datetime | None = None) -> None:
        """Have the sender's replies looked at, at the given time or as soon as possible."""
        ...

    async def wake_due(self, senders: Collection[SenderId]) -> None:
        """Wake senders whose replies are due and have not been looked at, for whatever reason."""
        ...
