"""Messages as the API takes and shows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from dispatcher.api.schemas import NO_OTHERS, Line, Model, Moment, Name, Value, example
from dispatcher.api.v1.campaign_models import ExplanationOut
from dispatcher.api.v1.campaign_orders import Metadata, Priority, Slot
from dispatcher.domain.campaign import Campaign, CampaignState, UnsurePolicy
from dispatcher.domain.listing import MessageLine
from dispatcher.domain.message import MessageState
from dispatcher.domain.receipt import ReceiptState
from dispatcher.domain.report import MessageView, ReceiptView
from dispatcher.engine.explain import Explanation

Number = Annotated[str, StringConstraints(min_length=1, max_length=40, pattern=r"^[^\x00-\x1f\x7f]*$")]
"""A phone number as people write it; best with + and country code."""
_LINE: Mapping[str, Any] = {
    "id": 345,
    "person": "+4915123456789",
    "state": "accepted",
    "reason": None,
    "code": None,
    "detail": None,
    "sender": "harbour",
    "attempt": 1,
    "not_before": None,
    "posted_at": "2026-09-30T08:11:00Z",
    "wamid": "wamid.HBgNNDkxNTEyMzQ1Njc4ORUCABEYEjA",
    "receipt": "delivered",
    "delivered_at": "2026-09-30T08:11:02Z",
    "read_at": None,
    "receipt_code": None,
    "upload": 1,
    "line": 2,
}
_MESSAGE: Mapping[str, Any] = {
    "campaign_id": 12,
    "id": 345,
    "person": "+4915123456789",
    "state": "accepted",
    "reason": None,
    "code": None,
    "detail": None,
    "sender": "harbour",
    "attempt": 1,
    "not_before": None,
    "posted_at": "2026-09-30T08:11:00Z",
    "wamid": "wamid.HBgNNDkxNTEyMzQ1Njc4ORUCABEYEjA",
    "values": ["Ann"],
    "attempts": [],
    "receipts": [
        {
            "attempt": 1,
            "wamid": "wamid.HBgNNDkxNTEyMzQ1Njc4ORUCABEYEjA",
            "state": "delivered",
            "sent_at": "2026-09-30T08:11:01Z",
            "delivered_at": "2026-09-30T08:11:02Z",
            "read_at": None,
            "failed_at": None,
            "code": None,
        }
    ],
}


class MessageOut(Model):
    """A message in a list: its last attempt, and what Meta has reported of it."""

    id: int
    person: str
    state: MessageState
    reason: str | None
    code: int | None
    detail: str | None
    sender: str | None
    attempt: int
    not_before: datetime | None
    posted_at: datetime | None
    wamid: str | None
    receipt: ReceiptState | None
    delivered_at: datetime | None
    read_at: datetime | None
    receipt_code: int | None
    upload: int | None
    line: int | None

    @classmethod
    def of(cls, line: MessageLine) -> MessageOut:
        """As the house has it."""
        return cls.model_validate(line, from_attributes=True)


class MessagePage(Model):
    """Messages in the order in which they were added."""

    model_config = example(items=[_LINE], next="345")

    items: Annotated[
        list[MessageOut],
        Field(description="Of one state, a page may be short or empty though more follow: `next` tells."),
    ]
    next: str | None


class AttemptOut(Model):
    """An earlier attempt."""

    attempt: int
    sender: str
    at: datetime | None
    code: int | None
    reason: str | None
    detail: str | None
    wamid: str | None


class ReceiptOut(Model):
    """What Meta has reported of one attempt."""

    attempt: int
    wamid: str
    state: ReceiptState
    sent_at: datetime | None
    delivered_at: datetime | None
    read_at: datetime | None
    failed_at: datetime | None
    code: int | None

    @classmethod
    def of(cls, view: ReceiptView) -> ReceiptOut:
        """As the house has it."""
        return cls(
            attempt=view.attempt,
            wamid=view.wamid,
            state=view.state,
            sent_at=view.receipt.sent_at,
            delivered_at=view.receipt.delivered_at,
            read_at=view.receipt.read_at,
            failed_at=view.receipt.failed_at,
            code=view.receipt.code,
        )


class MessageDetail(Model):
    """A message with its history."""

    model_config = example(**_MESSAGE)

    campaign_id: int
    id: int
    person: str
    state: MessageState
    reason: str | None
    code: int | None
    detail: str | None
    sender: str | None
    attempt: int
    not_before: datetime | None
    posted_at: datetime | None
    wamid: str | None
    values: Annotated[list[str], Field(description="In the order of the campaign's columns.")]
    attempts: Annotated[list[AttemptOut], Field(description="Earlier ones; the last stands above.")]
    receipts: list[ReceiptOut]

    @classmethod
    def of(cls, view: MessageView) -> MessageDetail:
        """As the house has it."""
        return cls(
            **{
                name: getattr(view, name)
                for name in cls.model_fields
                if name not in {"values", "attempts", "receipts"}
            },
            values=list(view.values),
            attempts=[AttemptOut(**asdict(attempt)) for attempt in view.attempts],
            receipts=[ReceiptOut.of(receipt) for receipt in view.receipts],
        )


class ExplainedMessage(Model):
    """A message, and why it is where it is."""

    model_config = example(
        message=_MESSAGE,
        explanation={
            "summary": "it is accepted",
            "binding": None,
            "advice": "nothing more happens to it by itself",
            "lanes": [],
        },
    )

    message: MessageDetail
    explanation: ExplanationOut

    @classmethod
    def of(cls, view: MessageView, explanation: Explanation) -> ExplainedMessage:
        """As the house has it."""
        return cls(message=MessageDetail.of(view), explanation=ExplanationOut.of(explanation))


class SingleIn(Model):
    """One message to one person, from a template of category utility or authentication."""

    model_config = example(
        sender="harbour",
        to="+4915123456789",
        template="parcel_update",
        language="en_US",
        values={"body.1": "Ann", "body.2": "tomorrow"},
        deadline="2026-10-01T18:00:00+00:00",
    )

    sender: Name
    to: Number
    template: Line
    language: Line
    values: Annotated[
        dict[Slot, Value],
        Field(max_length=100, description="A text for each slot.", json_schema_extra=NO_OTHERS),
    ] = Field(default_factory=dict)
    deadline: Annotated[Moment | None, Field(description="It expires where it was not sent by then.")] = None
    priority: Annotated[Priority, Field(description="Campaigns have 0 where nothing else was said.")] = 100
    unsure_policy: UnsurePolicy = UnsurePolicy.GIVE_UP
    metadata: Metadata = Field(default_factory=dict)


class SingleAccepted(Model):
    """A message that will be sent, or that a look at it explains."""

    model_config = example(id=12, to="+4915123456789")

    id: Annotated[int, Field(description="By which it is asked for.")]
    to: Annotated[str, Field(description="The number as it was understood.")]


class SingleOut(Model):
    """A message that was ordered by itself."""

    model_config = example(
        id=12,
        is_over=False,
        metadata={},
        deadline=None,
        message=_MESSAGE,
        explanation={
            "summary": "it is accepted",
            "binding": None,
            "advice": "nothing more happens to it by itself",
            "lanes": [],
        },
    )

    id: Annotated[int, Field(description="By which it is asked for.")]
    is_over: Annotated[bool, Field(description="Whether nothing more is sent.")]
    metadata: dict[str, str]
    deadline: datetime | None
    message: MessageDetail
    explanation: ExplanationOut

    @classmethod
    def of_single(cls, campaign: Campaign, view: MessageView, explanation: Explanation) -> SingleOut:
        """As the house has it."""
        return cls(
            id=campaign.id,
            is_over=campaign.state in {CampaignState.COMPLETED, CampaignState.CANCELLED},
            metadata=dict(campaign.metadata),
            deadline=campaign.deadline,
            message=MessageDetail.of(view),
            explanation=ExplanationOut.of(explanation),
        )
