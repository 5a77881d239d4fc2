"""A reply from its order to its end: what is asked for, what is answered at once, what a turn has in hand.

A reply goes through the states of a message (`message.py`) and has its number, its attempts and its receipts as a message
has them, under the campaign `REPLIES`. What it may say is in `reply.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from dispatcher.domain.campaign import UnsurePolicy
from dispatcher.domain.hold import Hold
from dispatcher.domain.ids import ConversationId, MessageId, PersonKey, PoolKey, TurnId
from dispatcher.domain.message import MessageState
from dispatcher.domain.reply import FreeForm
from dispatcher.domain.report import AttemptView, ReceiptView
from dispatcher.domain.sender import Sender


@dataclass(frozen=True, slots=True)
class NewReply:
    """What somebody wants to say to a person."""

    sender: str
    """The sender's name."""
    person: str
    """A phone number with its country code, or a business-scoped user id."""
    content: FreeForm
    context_wamid: str | None = None
    """The message that it answers."""
    key: str | None = None
    """Of the caller's choice: the same key from the same sender is the same reply, however often it is asked for."""


class ReplyRefusal(StrEnum):
    """Why a reply is not even queued; each member's docstring is the text that people are shown."""

    NO_CONVERSATION = "no_conversation"
    """The person has not written to this sender yet, and only who writes may be answered."""
    WINDOW_CLOSED = "window_closed"
    """More than 24 hours have passed since the person last wrote to this sender."""
    BAD_CONTENT = "bad_content"
    """Meta would refuse it as it is."""
    SENDER_BLOCKED = "sender_blocked"
    """The sender may not send at present."""
    KEY_TAKEN = "key_taken"
    """Another reply was queued under this key."""


WINDOW_CLOSED = str(ReplyRefusal.WINDOW_CLOSED)
"""Also the reason of a reply that was queued in time and whose window closed while it waited."""


@dataclass(frozen=True, slots=True)
class Queued:
    """It will be sent."""

    id: MessageId
    position: int
    """Its place within the conversation."""
    window_ends_at: datetime
    is_new: bool
    """False where its key was known: nothing more is sent."""


@dataclass(frozen=True, slots=True)
class NotQueued:
    """An expected refusal: nothing was stored."""

    reason: ReplyRefusal
    detail: str
    """What exactly is wrong."""
    hint: str
    """What one can do."""
    field: str | None = None
    """The part of the content that is at fault."""
    window_closed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ReplyDraft:
    """A checked reply on its way into the ledger."""

    conversation_id: ConversationId
    content: Mapping[str, Any]
    """As Meta takes it, without recipient, context and token."""
    context_wamid: str | None
    key: str | None
    unsure_policy: UnsurePolicy


@dataclass(frozen=True, slots=True)
class Addressee:
    """The person whom a reply goes to, as far as a reply needs to know their conversation with the sender."""

    conversation_id: ConversationId
    window_ends_at: datetime | None
    """None: it was never open."""
    last_inbound_wamid: str | None


@dataclass(frozen=True, slots=True)
class KnownReply:
    """A reply that was queued under a key."""

    id: MessageId
    position: int
    conversation_id: ConversationId
    content: Mapping[str, Any]
    context_wamid: str | None

    def says(self, draft: ReplyDraft) -> bool:
        """Whether it is the same reply: the same words to the same person."""
        mine = (self.conversation_id, self.content, self.context_wamid)
        return mine == (draft.conversation_id, draft.content, draft.context_wamid)


@dataclass(frozen=True, slots=True)
class ClaimedReply:
    """A reply as a turn holds it; the first of its conversation that has not ended."""

    id: MessageId
    person: str | None
    """E.164 with the plus sign; None where only the user id is known."""
    user_id: str | None
    key: PersonKey
    content: Mapping[str, Any]
    context_wamid: str | None
    attempt: int
    open_for: timedelta
    """What was left of the window at the claim, by the ledger's clock: hosts need not agree about the hour."""

    @property
    def who(self) -> str:
        """The person, for records that know people by one text."""
        return self.person or self.user_id or self.key


@dataclass(frozen=True, slots=True)
class Claimed:
    """What one claim has found."""

    replies: Sequence[ClaimedReply]
    refused: int
    """Replies that were refused by the claim itself, since their windows have closed; others may be next now."""


@dataclass(frozen=True, slots=True)
class OpenedReplyTurn:
    """All that a reply turn knows when it begins."""

    turn_id: TurnId
    sender: Sender
    sender_changed_at: datetime
    """When somebody last changed the sender; a turn that outlives this knows an old one."""
    holds: Sequence[Hold]
    """In force on the sender, its account and its portfolio."""
    instance: str
    """The ledger's own name, part of each token."""
    moved: Sequence[str]
    """What tells the ledger's place from the confirmed one."""


@dataclass(frozen=True, slots=True)
class DeadReplyTurn:
    """A reply turn whose lease ran out."""

    turn_id: TurnId
    sender: Sender

    @property
    def pool(self) -> PoolKey:
        """Where the limits know it."""
        return self.sender.pool


@dataclass(frozen=True, slots=True)
class ReplyView:
    """A reply with its history."""

    id: MessageId
    sender: Sender
    person: str
    """E.164, or a user id where no number is known."""
    position: int
    state: MessageState
    reason: str | None
    detail: str | None
    code: int | None
    wamid: str | None
    attempt: int
    not_before: datetime | None
    queued_at: datetime
    posted_at: datetime | None
    content: Mapping[str, Any]
    context_wamid: str | None
    key: str | None
    unsure_policy: UnsurePolicy
    window_ends_at: datetime
    waits_for: MessageId | None
    """The first reply of the conversation that goes before it and has not ended."""
    attempts: Sequence[AttemptView] = ()
    """Earlier ones; the last one stands in the fields above. Told only for a single reply."""
    receipts: Sequence[ReceiptView] = ()
    """Of all attempts. Told only for a single reply."""
