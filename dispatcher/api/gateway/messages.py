"""`POST /{version}/{phone_number_id}/messages`: templates, free-form messages and marks, as Meta takes them.

A template goes into a standing campaign, a free-form message into its conversation; either is answered as soon as it is
stored, with an id of ours. An `Idempotency-Key`, which Meta does not know, is welcome: under it a call is carried out once.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import orjson
from starlette.responses import Response

from dispatcher.api.creating import answered_once
from dispatcher.api.gateway.entry import Call, json_of
from dispatcher.api.gateway.errors import ERRORS, INVALID, GatewayRefusal, not_queued, refused
from dispatcher.channel.gateway_messages import FreeFormMessage, Mark, TemplateMessage, read_posted
from dispatcher.domain import answer
from dispatcher.domain.access import Scope
from dispatcher.domain.gateway import GatewayId, MessageRef, Objection, Refused
from dispatcher.domain.ids import REPLIES, is_user_id
from dispatcher.domain.queued_reply import NewReply, NotQueued
from dispatcher.domain.reply import FreeForm, Reaction
from dispatcher.domain.sender import Sender
from dispatcher.engine.standing import Standing
from dispatcher.orders import Orders

_KEY_CHARS_MAX = 200


async def post_message(call: Call) -> Response:
    """Take one message, or mark one as read."""
    sender = await call.sender()
    body = await call.body()
    posted = read_posted(json_of(body), call.house.settings.default_region)
    match posted:
        case Refused():
            raise refused(posted)
        case Mark():
            await call.must_open(Scope.REPLIES_WRITE)
            await call.house.replies.mark(
                sender, await _wamid(call, posted.message_id, "message_id"), is_typing=posted.is_typing
            )
            return Response(b'{"success":true}', media_type="application/json")
        case TemplateMessage(order=order, context_id=context_id):
            await call.must_open(Scope.MESSAGES_WRITE)
            if context_id is not None:
                wamid = await _wamid(call, context_id, "context.message_id")
                posted = replace(posted, order=replace(order, context_wamid=wamid))
        case FreeFormMessage():
            await call.must_open(Scope.REPLIES_WRITE)

    named = _named(call, body)
    if named is None and isinstance(posted, TemplateMessage):
        # why without a transaction: one statement stores it, and locks are held for no longer than that.
        taken = await _sent(call.house.gateway.standing, sender, posted)
        return Response(_told(call, posted, taken), media_type="application/json")

    async def work(orders: Orders) -> answer.KeptAnswer:
        if isinstance(posted, TemplateMessage):
            taken = await _sent(orders.standing, sender, posted)
        else:
            taken = await _queued(call, orders, sender, posted)
        return answer.KeptAnswer(200, _told(call, posted, taken))

    return await answered_once(call.house, named, work)


async def _sent(standing: Standing, sender: Sender, message: TemplateMessage) -> MessageRef:
    """A template in its standing campaign. Raises GatewayRefusal."""
    taken = await standing.room(sender) or await standing.send(sender, message.order)
    if isinstance(taken, Refused):
        raise refused(taken)
    return taken


async def _queued(call: Call, orders: Orders, sender: Sender, message: FreeFormMessage) -> MessageRef:
    """A free-form message at the end of its conversation. Raises GatewayRefusal."""
    if (objection := await orders.standing.room(sender)) is not None:
        raise refused(objection)
    context_wamid = None
    if message.context_id is not None:
        context_wamid = await _wamid(call, message.context_id, "context.message_id")
    content: FreeForm = message.content
    if isinstance(content, Reaction):
        content = replace(content, wamid=await _wamid(call, content.wamid, "reaction.message_id"))
    queued = await orders.replies.queue(NewReply(sender.name, message.person, content, context_wamid))
    if isinstance(queued, NotQueued):
        raise not_queued(queued)
    taken = MessageRef(REPLIES, queued.id)
    if message.callback_data is not None:
        await orders.gateway.keep_callback_data(taken, message.callback_data)
    return taken


async def _wamid(call: Call, message_id: str, field: str) -> str:
    """What Meta calls a message; the client knows it by Meta's name or by ours. Raises GatewayRefusal."""
    named = GatewayId.parse(message_id)
    if named is None:
        return message_id
    wamid = (
        await call.house.gateway.book.wamid_of(named)
        if named.instance == call.house.intake.instance
        else None
    )
    if wamid is None:
        details = f"{field}: Meta has not got this message yet; wait for its first status"
        raise GatewayRefusal(ERRORS[Objection.BAD_FIELD], details)
    return wamid


def _told(call: Call, message: TemplateMessage | FreeFormMessage, taken: MessageRef) -> bytes:
    """The answer as Meta writes it."""
    if isinstance(message, FreeFormMessage):
        person = message.person
    else:
        to = message.order.to
        person = to.e164 if to is not None else message.recipient
    who = {"user_id": person} if is_user_id(person) else {"wa_id": person.removeprefix("+")}
    named: dict[str, Any] = {"id": str(GatewayId(call.house.intake.instance, *taken))}
    if isinstance(message, TemplateMessage):
        named["message_status"] = "accepted"
    contacts = [{"input": message.recipient, **who}]
    return orjson.dumps({"messaging_product": "whatsapp", "contacts": contacts, "messages": [named]})


def _named(call: Call, body: bytes) -> answer.Call | None:
    """The call under the name that the client gave it. Raises GatewayRefusal."""
    key = call.request.headers.get("idempotency-key")
    if key is None:
        return None
    if not 1 <= len(key) <= _KEY_CHARS_MAX or not key.isascii() or not key.isprintable() or " " in key:
        details = f"the header Idempotency-Key has 1 to {_KEY_CHARS_MAX} printable characters and no blanks"
        raise GatewayRefusal(INVALID, details)
    asked = f"POST {call.request.url.path}\n".encode() + hashlib.sha256(body).digest()
    return answer.Call(call.key.id, key, hashlib.sha256(asked).digest())
