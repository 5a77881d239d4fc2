"""Replies as the API takes and shows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

from pydantic import ConfigDict, Field, StringConstraints

from dispatcher.api.schemas import Flag, Model, Name, Value, example
from dispatcher.api.v1.campaign_models import ExplanationOut
from dispatcher.api.v1.message_models import AttemptOut, ReceiptOut
from dispatcher.api.v1.reply_content import ReplyContent
from dispatcher.domain.campaign import UnsurePolicy
from dispatcher.domain.message import MessageState
from dispatcher.domain.queued_reply import NewReply, Queued, ReplyView
from dispatcher.engine.explain import Explanation

Person = Annotated[str, StringConstraints(min_length=1, max_length=140, pattern=r"^[^\x00-\x1f\x7f]*$")]
"""A number with its country code, or a user id."""
_PERSON = "A phone number with its country code, or a user id such as US.7000000000000000001."
_TO: Mapping[str, Any] = {"sender": "harbour", "person": "+4915123456789"}
_REPLY: Mapping[str, Any] = {
    "id": 3,
    "sender": "harbour",
    "person": "+4915123456789",
    "position": 3,
    "state": "accepted",
    "reason": None,
    "detail": None,
    "code": None,
    "wamid": "wamid.HBgNNDkxNTEyMzQ1Njc4ORUCABEYEjB",
    "attempt": 1,
    "not_before": None,
    "queued_at": "2026-09-30T08:14:00Z",
    "posted_at": "2026-09-30T08:14:00Z",
    "window_ends_at": "2026-10-01T08:12:00Z",
    "waits_for": None,
    "content": {"type": "text", "text": {"preview_url": False, "body": "It comes tomorrow."}},
    "context": None,
    "key": "ticket-4711-1",
    "unsure_policy": "ask",
}
_DETAIL: Mapping[str, Any] = {**_REPLY, "attempts": [], "receipts": []}


class ReplyOrder(Model):
    """What somebody wants to say to a person who has written."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {**_TO, "content": {"type": "text", "body": "It comes tomorrow."}, "key": "ticket-4711-1"},
                {
                    **_TO,
                    "content": {
                        "type": "buttons",
                        "body": "When does it suit you?",
                        "buttons": [{"id": "am", "title": "Morning"}, {"id": "pm", "title": "Afternoon"}],
                    },
                },
            ]
        },
    )

    sender: Annotated[Name, Field(description="The sender that the person has written to.")]
    person: Annotated[Person, Field(description=_PERSON)]
    content: ReplyContent
    context: Annotated[Value | None, Field(description="The wamid of the message that it answers.")] = None
    key: Annotated[
        str | None,
        StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00]*$"),
        Field(
            description="Of your choice: under it this sender says it once, whichever key of the API asks and however much "
            "later. An `Idempotency-Key` is known to the key of the API that used it, and for a day at least."
        ),
    ] = None

    def new(self) -> NewReply:
        """As the house has it."""
        return NewReply(self.sender, self.person, self.content.free_form(), self.context, self.key)


class QueuedOut(Model):
    """A reply that will be sent."""

    model_config = example(id=3, position=3, window_ends_at="2026-10-01T08:12:00Z", is_new=True)

    id: Annotated[int, Field(description="By which it is asked for.")]
    position: Annotated[int, Field(description="Its place within the conversation.")]
    window_ends_at: datetime
    is_new: Annotated[bool, Field(description="false: its `key` was known, and nothing more is sent.")]

    @classmethod
    def of(cls, queued: Queued) -> QueuedOut:
        """As the house has it."""
        return cls.model_validate(queued, from_attributes=True)


class ReplyOut(Model):
    """A reply in a list."""

    id: int
    sender: str
    person: str
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
    window_ends_at: datetime
    waits_for: Annotated[int | None, Field(description="The reply of its conversation that goes first.")]
    content: Annotated[dict[str, Any], Field(description="As Meta takes it.")]
    context: Annotated[str | None, Field(description="The wamid of the message that it answers.")]
    key: str | None
    unsure_policy: UnsurePolicy

    @classmethod
    def of(cls, view: ReplyView) -> ReplyOut:
        """As the house has it."""
        return cls(**_fields(view))


class ReplyPage(Model):
    """Replies, the newest first."""

    model_config = example(items=[_REPLY], next=None)

    items: list[ReplyOut]
    next: str | None


class ReplyDetail(ReplyOut):
    """A reply with its history."""

    attempts: Annotated[list[AttemptOut], Field(description="Earlier ones; the last stands above.")]
    receipts: list[ReceiptOut]

    @classmethod
    def of(cls, view: ReplyView) -> ReplyDetail:
        """As the house has it."""
        return cls(
            **_fields(view),
            attempts=[AttemptOut(**asdict(attempt)) for attempt in view.attempts],
            receipts=[ReceiptOut.of(receipt) for receipt in view.receipts],
        )


class ExplainedReply(Model):
    """A reply, and why it is where it is."""

    model_config = example(
        reply=_DETAIL,
        explanation={
            "summary": "it is accepted",
            "binding": None,
            "advice": "nothing more happens to it by itself",
            "lanes": [],
        },
    )

    reply: ReplyDetail
    explanation: ExplanationOut

    @classmethod
    def of(cls, view: ReplyView, explanation: Explanation) -> ExplainedReply:
        """As the house has it."""
        return cls(reply=ReplyDetail.of(view), explanation=ExplanationOut.of(explanation))


class MarkIn(Model):
    """Whose last message was read."""

    model_config = example(**_TO, typing=True)

    sender: Name
    person: Annotated[Person, Field(description=_PERSON)]
    typing: Annotated[Flag, Field(description="Show that an answer is being written.")] = False


class MarkedOut(Model):
    """What was marked."""

    model_config = example(wamid="wamid.HBgNNDkxNTEyMzQ1Njc4ORUCABIYEjA", typing=True)

    wamid: Annotated[str, Field(description="The person's latest message.")]
    typing: bool


def _fields(view: ReplyView) -> dict[str, Any]:
    own = {"sender": view.sender.name, "context": view.context_wamid, "content": dict(view.content)}
    return {name: getattr(view, name) for name in ReplyOut.model_fields if name not in own} | own
