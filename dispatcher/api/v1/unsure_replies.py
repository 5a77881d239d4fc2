"""What operators decide about replies of which nobody knows whether they were sent."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import Field

from dispatcher.api.guard import PREFIX, Guarded, House, needs
from dispatcher.api.schemas import Cursor, Limit, Model, example, number_of
from dispatcher.api.v1.operations import DoneOut, Ids
from dispatcher.domain.access import Scope
from dispatcher.domain.campaign import UnsurePolicy
from dispatcher.domain.ids import MessageId
from dispatcher.domain.message import MessageState
from dispatcher.domain.report import UnsureView

router = APIRouter(prefix=f"{PREFIX}/unsure/replies", tags=["unsure messages"], route_class=Guarded)

Replies = Annotated[Ids | None, Field(description="Only these; without it, all that are unsure now.")]


class UnsureReplyOut(Model):
    """A reply of which nobody knows whether it was sent."""

    reply_id: int
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
    def of(cls, view: UnsureView) -> UnsureReplyOut:
        """As the house has it."""
        return cls(
            reply_id=view.ref.message_id,
            attempt=view.ref.attempt,
            **{name: getattr(view, name) for name in cls.model_fields if hasattr(view, name)},
        )


class UnsureReplyPage(Model):
    """Unsure replies, by number."""

    model_config = example(
        items=[
            {
                "reply_id": 78,
                "attempt": 1,
                "person": "+4915123456789",
                "sender": "harbour",
                "posted_at": "2026-09-30T08:15:00Z",
                "reason": "answer_lost",
                "code": None,
                "detail": "operation timed out",
                "policy": "ask",
                "decides_at": None,
            }
        ],
        next=None,
    )

    items: list[UnsureReplyOut]
    next: str | None


class SettleRepliesIn(Model):
    """What became of unsure replies, from knowledge of your own."""

    model_config = example(replies=[78], state="accepted")

    replies: Replies = None
    state: Literal["accepted", "refused"]


class ReleaseRepliesIn(Model):
    """Which unsure replies are to be posted again."""

    model_config = example(replies=[78])

    replies: Replies = None


@router.get("", **needs(Scope.READ))
async def list_unsure_replies(house: House, cursor: Cursor = None, limit: Limit = 100) -> UnsureReplyPage:
    """Replies that are unsure; those behind them wait, unless the policy is to give up."""
    after = number_of(cursor)
    _, found = await house.unsure_replies.list(limit + 1, MessageId(after) if after is not None else None)
    return UnsureReplyPage(
        items=[UnsureReplyOut.of(view) for view in found[:limit]],
        next=str(found[limit - 1].ref.message_id) if len(found) > limit else None,
    )


@router.post("/settle", **needs(Scope.OPERATIONS_WRITE))
async def settle_replies(body: SettleRepliesIn, house: House) -> DoneOut:
    """Say what became of them. They are not posted again."""
    changed = await house.unsure_replies.settle(_chosen(body.replies), MessageState(body.state))
    return DoneOut(changed=changed)


@router.post("/release", **needs(Scope.OPERATIONS_WRITE))
async def release_replies(body: ReleaseRepliesIn, house: House) -> DoneOut:
    """Have them posted again. Those that had arrived will arrive twice."""
    return DoneOut(changed=await house.unsure_replies.release(_chosen(body.replies)))


def _chosen(ids: list[int] | None) -> list[MessageId] | None:
    return [MessageId(each) for each in ids] if ids is not None else None
