"""Conversations: what people wrote and were answered, and until when they may be answered freely."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import Field

from dispatcher.api.guard import PREFIX, Guarded, House, needs
from dispatcher.api.schemas import ConversationPath, Limit, Model, Name, example
from dispatcher.domain.access import Scope
from dispatcher.domain.conversation import ConversationPlace, ConversationView, Linked, Spoken, Transcript
from dispatcher.domain.ids import ConversationId
from dispatcher.domain.window import free_until

router = APIRouter(prefix=f"{PREFIX}/conversations", tags=["conversations"], route_class=Guarded)

ConversationCursor = Annotated[
    str | None,
    Query(
        # why so few digits: it is a time in microseconds, which has to be one.
        pattern=r"^[0-9]{1,16}\.[0-9]{1,15}$",
        description="`next` of the page before; without it, the first page.",
        examples=["1790755920000000.2"],
    ),
]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICK = timedelta(microseconds=1)

_CONVERSATION: Mapping[str, Any] = {
    "id": 2,
    "sender": "harbour",
    "person": "+4915123456789",
    "user_id": None,
    "name": "Ann",
    "window": {"is_open": True, "ends_at": "2026-10-01T08:12:00Z"},
    "last_inbound_at": "2026-09-30T08:12:00Z",
    "started_at": "2026-09-28T11:00:00Z",
    "suppressed": None,
}


class WindowOut(Model):
    """The service window."""

    is_open: Annotated[bool, Field(description="Whether a reply is allowed now.")]
    ends_at: Annotated[datetime | None, Field(description="null: it was never open.")]


class ConversationOut(Model):
    """What one person and one sender have with each other."""

    id: int
    sender: str
    person: Annotated[str | None, Field(description="null: only a user id is known.")]
    user_id: str | None
    name: Annotated[str | None, Field(description="The person's profile name.")]
    window: WindowOut
    last_inbound_at: Annotated[datetime | None, Field(description="When the person last wrote.")]
    started_at: datetime
    suppressed: Annotated[str | None, Field(description="Why the person gets no campaigns; null: they may.")]

    @classmethod
    def of(cls, view: ConversationView, now: datetime) -> ConversationOut:
        """As the house has it."""
        return cls(**_fields(view, now))


class ConversationPage(Model):
    """Conversations, the one in which somebody wrote last first."""

    model_config = example(items=[_CONVERSATION], next=None)

    items: list[ConversationOut]
    next: str | None


class SpokenOut(Model):
    """One line of what was said."""

    at: datetime
    is_inbound: Annotated[bool, Field(description="Whether the person said it.")]
    kind: Annotated[str, Field(description='Meta\'s `type`; "template" for a message of a campaign.')]
    text: Annotated[str, Field(description="The words, or what stands for them.")]
    wamid: str | None
    content: Annotated[dict[str, Any], Field(description="As Meta wrote it; empty for messages of ours.")]

    @classmethod
    def of(cls, spoken: Spoken) -> SpokenOut:
        """As the house has it."""
        return cls.model_validate(spoken, from_attributes=True)


class LinkedOut(Model):
    """An id by which the person is known."""

    id: str
    linked_at: datetime
    until: Annotated[datetime | None, Field(description="Of a number that was given up.")]

    @classmethod
    def of(cls, linked: Linked) -> LinkedOut:
        """As the house has it."""
        return cls.model_validate(linked, from_attributes=True)


class TranscriptOut(ConversationOut):
    """A conversation with its last messages."""

    model_config = example(
        **_CONVERSATION,
        free_entry_at=None,
        free_until=None,
        ids=[],
        messages=[
            {
                "at": "2026-09-30T08:12:00Z",
                "is_inbound": True,
                "kind": "text",
                "text": "Where is my parcel?",
                "wamid": "wamid.HBgNNDkxNTEyMzQ1Njc4ORUCABIYEjA",
                "content": {"type": "text", "text": {"body": "Where is my parcel?"}},
            }
        ],
    )

    free_entry_at: Annotated[
        datetime | None, Field(description="When the person last came by an ad or a Page's button.")
    ]
    free_until: Annotated[datetime | None, Field(description="Until then messages are free of charge.")]
    ids: Annotated[list[LinkedOut], Field(description="By which else the person is known.")]
    messages: Annotated[list[SpokenOut], Field(description="In both directions, the newest first.")]

    @classmethod
    def of_transcript(cls, transcript: Transcript, now: datetime) -> TranscriptOut:
        """As the house has it."""
        view = transcript.view
        return cls(
            **_fields(view, now),
            free_entry_at=view.free_entry_at,
            free_until=view.free_entry_at and free_until(view.free_entry_at, view.answered_at),
            ids=[LinkedOut.of(linked) for linked in transcript.ids],
            messages=[SpokenOut.of(spoken) for spoken in transcript.spoken],
        )


@router.get("", **needs(Scope.READ))
async def list_conversations(
    house: House,
    cursor: ConversationCursor = None,
    limit: Limit = 100,
    sender: Annotated[Name | None, Query(description="Of this sender only.", examples=["harbour"])] = None,
) -> ConversationPage:
    """Conversations, the one in which somebody wrote last first.

    One whose person writes while you turn pages moves to the front, where the next reading from the first page finds it.
    """
    known = await house.senders.named(sender) if sender is not None else None
    page = await house.conversations.page(_place(cursor), limit, sender=known.id if known else None)
    now = house.lane_tools.clock.now()
    return ConversationPage(
        items=[ConversationOut.of(view, now) for view in page.items], next=_cursor(page.next)
    )


@router.get("/{conversation_id}", **needs(Scope.READ))
async def show_conversation(
    conversation_id: ConversationPath, house: House, limit: Limit = 20
) -> TranscriptOut:
    """One conversation: its window, its last messages in both directions, and every id of its person."""
    transcript = await house.conversations.transcript(ConversationId(conversation_id), limit)
    return TranscriptOut.of_transcript(transcript, house.lane_tools.clock.now())


def _fields(view: ConversationView, now: datetime) -> dict[str, Any]:
    window = WindowOut(is_open=view.window.is_open(now), ends_at=view.window.ends_at)
    return {name: getattr(view, name) for name in ConversationOut.model_fields} | {"window": window}


def _place(cursor: str | None) -> ConversationPlace | None:
    if cursor is None:
        return None
    ticks, _, number = cursor.partition(".")
    return _EPOCH + int(ticks) * _TICK if int(ticks) else None, ConversationId(int(number))


def _cursor(place: ConversationPlace | None) -> str | None:
    """The time is 0 behind those who have ever written."""
    if place is None:
        return None
    at, number = place
    return f"{(at - _EPOCH) // _TICK if at is not None else 0}.{number}"
