"""Replies: free-form messages to people who have written, and marks on what they wrote."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from dispatcher.api.creating import create_once
from dispatcher.api.guard import PREFIX, Caller, Guarded, House, needs
from dispatcher.api.problems import Refusal
from dispatcher.api.schemas import Cursor, IdempotencyKey, Limit, Name, ReplyPath, number_of
from dispatcher.api.v1.reply_models import (
    ExplainedReply,
    MarkedOut,
    MarkIn,
    Person,
    QueuedOut,
    ReplyOrder,
    ReplyOut,
    ReplyPage,
)
from dispatcher.app import App
from dispatcher.domain.access import Scope
from dispatcher.domain.ids import MessageId
from dispatcher.domain.message import MessageState
from dispatcher.domain.queued_reply import NotQueued, ReplyRefusal
from dispatcher.orders import Orders

router = APIRouter(prefix=f"{PREFIX}/replies", tags=["replies"], route_class=Guarded)

_REFUSED: Mapping[ReplyRefusal, tuple[int, str]] = {
    ReplyRefusal.NO_CONVERSATION: (409, "The person has never written"),
    ReplyRefusal.WINDOW_CLOSED: (409, "The window is closed"),
    ReplyRefusal.SENDER_BLOCKED: (409, "The sender may not send"),
    ReplyRefusal.BAD_CONTENT: (422, "Meta would refuse it"),
    ReplyRefusal.KEY_TAKEN: (422, "Another reply has the key"),
}


@router.post("", status_code=201, response_model=QueuedOut, **needs(Scope.REPLIES_WRITE))
async def queue_reply(
    request: Request, body: ReplyOrder, key: IdempotencyKey, house: House, caller: Caller
) -> Response:
    """Answer a person who has written within the last 24 hours, in order within the conversation.

    What cannot be sent is refused at once, and the problem's type tells why: `no_conversation`, `window_closed` (with
    `window_closed_at`), `sender_blocked`, `bad_content` (with `field`), `key_taken`.
    """

    async def work(orders: Orders) -> QueuedOut:
        answered = await orders.replies.queue(body.new())
        if isinstance(answered, NotQueued):
            raise _refused(answered)
        return QueuedOut.of(answered)

    return await create_once(request, house, caller, key, work)


@router.get("", **needs(Scope.READ))
async def list_replies(
    house: House,
    cursor: Cursor = None,
    limit: Limit = 100,
    sender: Annotated[Name | None, Query(description="Of this sender only.", examples=["harbour"])] = None,
    person: Annotated[
        Person | None,
        Query(description="To this person of that sender only.", examples=["+4915123456789"]),
    ] = None,
    state: Annotated[MessageState | None, Query(description="Only those in this state.")] = None,
) -> ReplyPage:
    """Replies, the newest first; what they say is in them.

    A page of one state looks at some thousand replies at most. It may be short, or empty, and have a `next` all the same.
    """
    before = number_of(cursor)
    page = await house.replies.page(
        MessageId(before) if before is not None else None, limit, sender=sender, person=person, state=state
    )
    return ReplyPage(
        items=[ReplyOut.of(view) for view in page.items],
        next=str(page.next) if page.next is not None else None,
    )


@router.get("/{reply_id:int}", **needs(Scope.READ))
async def show_reply(reply_id: ReplyPath, house: House) -> ExplainedReply:
    """A reply with its history, and why it is where it is."""
    return await _explained(house, MessageId(reply_id))


@router.post("/{reply_id:int}/cancel", **needs(Scope.REPLIES_WRITE))
async def cancel_reply(reply_id: ReplyPath, house: House) -> ExplainedReply:
    """Give up a reply that still waits; those behind it go on. A second time changes nothing."""
    view = await house.replies.view(MessageId(reply_id))
    if view.state is not MessageState.CANCELLED:
        await house.replies.cancel(view.id)
    return await _explained(house, view.id)


@router.post("/read", **needs(Scope.REPLIES_WRITE))
async def mark_read(body: MarkIn, house: House) -> MarkedOut:
    """Show a person that what they wrote was read, or that an answer is being written. No message is sent."""
    wamid = await house.replies.mark_read(body.sender, body.person, is_typing=body.typing)
    return MarkedOut(wamid=wamid, typing=body.typing)


async def _explained(house: App, reply_id: MessageId) -> ExplainedReply:
    view = await house.replies.view(reply_id)
    return ExplainedReply.of(view, await house.replies.explain(view))


def _refused(refusal: NotQueued) -> Refusal:
    status, title = _REFUSED[refusal.reason]
    return Refusal(
        status,
        refusal.reason,
        title,
        f"{refusal.detail}; nothing was queued",
        hint=refusal.hint,
        field=refusal.field,
        window_closed_at=refusal.window_closed_at,
    )
