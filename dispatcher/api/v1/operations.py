"""What operators decide: messages of which nobody knows whether they were sent, and webhooks that could not be used."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from pydantic import Field, Strict

from dispatcher.api.guard import PREFIX, Guarded, House, needs
from dispatcher.api.schemas import LARGEST, WHOLE, Cursor, Limit, Model, example, number_of
from dispatcher.domain.access import Scope
from dispatcher.domain.campaign import UnsurePolicy
from dispatcher.domain.errors import NotFound
from dispatcher.domain.ids import CampaignId, MessageId
from dispatcher.domain.listing import PutAsideLine
from dispatcher.domain.message import MessageState
from dispatcher.domain.report import UnsureView

unsure = APIRouter(prefix=f"{PREFIX}/unsure", tags=["unsure messages"], route_class=Guarded)
quarantine = APIRouter(prefix=f"{PREFIX}/quarantine", tags=["quarantine"], route_class=Guarded)

Id = Annotated[int, Strict(), Field(ge=1, le=LARGEST), WHOLE]
Ids = Annotated[list[Id], Field(min_length=1, max_length=10_000)]
UnsureCursor = Annotated[
    str | None,
    Query(
        pattern=r"^[0-9]{1,18}\.[0-9]{1,18}$",
        description="`next` of the page before; without it, the first page.",
        examples=["12.345"],
    ),
]


class UnsureOut(Model):
    """A message of which nobody knows whether it was sent."""

    campaign_id: int
    campaign: str
    message_id: int
    attempt: int
    person: str
    sender: str | None
    posted_at: datetime | None
    reason: str
    code: int | None
    detail: str
    policy: UnsurePolicy
    decides_at: Annotated[datetime | None, Field(description="When the policy decides; null: you do.")]

    @classmethod
    def of(cls, view: UnsureView) -> UnsureOut:
        """As the house has it."""
        return cls(
            campaign_id=view.ref.campaign_id,
            message_id=view.ref.message_id,
            attempt=view.ref.attempt,
            **{name: getattr(view, name) for name in cls.model_fields if hasattr(view, name)},
        )


class UnsurePage(Model):
    """Unsure messages, by campaign and number."""

    model_config = example(
        items=[
            {
                "campaign_id": 12,
                "campaign": "Autumn offer",
                "message_id": 346,
                "attempt": 1,
                "person": "+447700900102",
                "sender": "harbour",
                "posted_at": "2026-09-30T08:11:00Z",
                "reason": "answer_lost",
                "code": None,
                "detail": "operation timed out",
                "policy": "give_up",
                "decides_at": "2026-09-30T09:11:00Z",
            }
        ],
        next=None,
    )

    items: list[UnsureOut]
    next: str | None


class SettleIn(Model):
    """What became of unsure messages, from knowledge of your own."""

    model_config = example(campaign_id=12, messages=[346], state="accepted")

    campaign_id: Id
    messages: Annotated[Ids | None, Field(description="Only these; without it, all of the campaign.")] = None
    state: Literal["accepted", "refused"]


class ReleaseIn(Model):
    """Which unsure messages are to be posted again."""

    model_config = example(campaign_id=12, messages=[346])

    campaign_id: Id
    messages: Annotated[Ids | None, Field(description="Only these; without it, all of the campaign.")] = None


class DoneOut(Model):
    """How many it was."""

    model_config = example(changed=1)

    changed: int


@unsure.get("", **needs(Scope.READ))
async def list_unsure(house: House, cursor: UnsureCursor = None, limit: Limit = 100) -> UnsurePage:
    """What is unsure, since when, and who decides: a receipt, the campaign's policy, or you."""
    campaign, _, message = (cursor or "0.0").partition(".")
    after = CampaignId(int(campaign)), MessageId(int(message))
    page = await house.listings.unsure(after, limit, house.unsure.grace)
    return UnsurePage(
        items=[UnsureOut.of(view) for view in page.items],
        next=f"{page.next[0]}.{page.next[1]}" if page.next is not None else None,
    )


@unsure.post("/settle", **needs(Scope.OPERATIONS_WRITE))
async def settle(body: SettleIn, house: House) -> DoneOut:
    """Say what became of them. They are not posted again."""
    messages = _messages(body.messages)
    settled = await house.unsure.settle(CampaignId(body.campaign_id), messages, MessageState(body.state))
    return DoneOut(changed=settled)


@unsure.post("/release", **needs(Scope.OPERATIONS_WRITE))
async def release(body: ReleaseIn, house: House) -> DoneOut:
    """Have them posted again. Those that had arrived will arrive twice."""
    released = await house.unsure.release(CampaignId(body.campaign_id), _messages(body.messages))
    return DoneOut(changed=released)


_PIECE: dict[str, Any] = {
    "id": 7,
    "received_at": "2026-09-30T08:12:00Z",
    "at": "2026-09-30T08:12:01Z",
    "reason": "unreadable",
    "detail": "no JSON",
    "retry_at": None,
    "bytes": 512,
}


class PieceOut(Model):
    """A webhook, or a piece of one, that could not be used."""

    id: int
    received_at: datetime
    at: Annotated[datetime, Field(description="When it was put aside.")]
    reason: str
    detail: str
    retry_at: Annotated[datetime | None, Field(description="null: when somebody replays it.")]
    bytes: int

    @classmethod
    def of(cls, piece: PutAsideLine) -> PieceOut:
        """As the house has it."""
        return cls.model_validate(piece, from_attributes=True)


class PiecePage(Model):
    """What was put aside, the newest first."""

    model_config = example(items=[_PIECE], next=None)

    items: list[PieceOut]
    next: str | None


class PieceDetail(PieceOut):
    """One piece as it came."""

    model_config = example(**_PIECE, content="not json")

    content: Annotated[str, Field(description="What is no text is written as \\xNN.")]


class PiecesIn(Model):
    """Which pieces are meant."""

    model_config = example(ids=[7])

    ids: Ids


@quarantine.get("", **needs(Scope.READ))
async def list_quarantine(house: House, cursor: Cursor = None, limit: Limit = 100) -> PiecePage:
    """What was put aside, why, and when it is looked at again."""
    page = await house.listings.quarantine(number_of(cursor), limit)
    return PiecePage(
        items=[PieceOut.of(piece) for piece in page.items],
        next=str(page.next) if page.next is not None else None,
    )


@quarantine.get("/{piece_id:int}", **needs(Scope.READ))
async def show_piece(
    piece_id: Annotated[int, Path(ge=1, le=LARGEST, description="The piece's number.", examples=[7])],
    house: House,
) -> PieceDetail:
    """One piece as it came, byte for byte where it is text."""
    found = await house.inbox.quarantined_piece(piece_id)
    if found is None:
        raise NotFound(f"nothing with the number {piece_id} is put aside")
    piece = found.piece
    return PieceDetail(
        id=found.id,
        received_at=piece.received_at,
        at=found.at,
        reason=piece.reason,
        detail=piece.detail,
        retry_at=piece.retry_at,
        bytes=len(piece.content),
        content=piece.content.decode(errors="backslashreplace"),
    )


@quarantine.post("/replay", **needs(Scope.OPERATIONS_WRITE))
async def replay(body: PiecesIn, house: House) -> DoneOut:
    """Take pieces in once more, for instance when a sender was added."""
    return DoneOut(changed=await house.inbox.replay(body.ids))


@quarantine.post("/discard", **needs(Scope.OPERATIONS_WRITE))
async def discard(body: PiecesIn, house: House) -> DoneOut:
    """Forget pieces for good."""
    return DoneOut(changed=await house.inbox.discard(body.ids))


def _messages(ids: list[int] | None) -> list[MessageId] | None:
    return [MessageId(each) for each in ids] if ids is not None else None
