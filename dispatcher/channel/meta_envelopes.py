"""The format `meta`: an event as Meta's own webhooks tell it, with our ids where Meta has its own for messages of ours.

One update per request, as clients that read only the first of several expect. Signed as Meta signs, with the secret that the
client has given for it: HMAC-SHA256 over the bytes of the body.
Invariant: pure; the same event with the same facts is the same bytes, by which some clients know a repetition.

Source: Meta, "Status messages webhook reference", "Messages webhooks" and "Webhooks" (signature), read 2026-09.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson

from dispatcher.domain.delivery import Delivery, DeliveryTurn
from dispatcher.domain.event import Event, EventKind
from dispatcher.domain.gateway import GatewayId, RelayFacts
from dispatcher.domain.ids import REPLIES, CampaignId, MessageId, is_user_id
from dispatcher.domain.relay import FAILED_KINDS, RECEIPT_KINDS
from dispatcher.domain.verdict import VERDICTS

_ERRORS = "https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes/"
_UNKNOWN_CODE = 131000
_CODES: Mapping[str, int] = {
    "window_closed": 131047,
    "suppressed": 131050,
}
"""Reasons of ours for which Meta has a code."""
_MEDIA = frozenset({"image", "video", "audio", "document", "sticker"})


def write_meta(
    turn: DeliveryTurn, events: Sequence[Event], secrets: Sequence[str], _at: datetime
) -> Delivery:
    """The one event in Meta's form. Its facts stand in `event.relay`."""
    [event] = events
    assert event.relay is not None
    body = orjson.dumps(
        {
            "object": "whatsapp_business_account",
            "entry": [
                {
                    "id": event.relay.waba_id,
                    "time": int(event.at.timestamp()),
                    "changes": [_change(turn, event, event.relay)],
                }
            ],
        }
    )
    return Delivery(body, {"content-type": "application/json", "x-hub-signature-256": sign(secrets[0], body)})


def sign(secret: str, body: bytes) -> str:
    """As Meta signs."""
    return "sha256=" + hmac.digest(secret.encode(), body, "sha256").hex()


def _change(turn: DeliveryTurn, event: Event, facts: RelayFacts) -> dict[str, Any]:
    if event.kind is EventKind.ACCOUNT_NEWS:
        # why cut: what stands in the field "messages" and is neither message nor status is told as "messages.errors".
        return {"field": event.body["field"].partition(".")[0], "value": event.body["value"]}
    told = (
        _inbound(turn, event, facts)
        if event.kind is EventKind.INBOUND_MESSAGE
        else _status(turn, event, facts)
    )
    metadata = {
        "display_phone_number": (facts.phone or "").removeprefix("+"),
        "phone_number_id": facts.phone_number_id,
    }
    return {"field": "messages", "value": {"messaging_product": "whatsapp", "metadata": metadata, **told}}


def _status(turn: DeliveryTurn, event: Event, facts: RelayFacts) -> dict[str, Any]:
    body = event.body
    person = str(body.get("person") or "")
    hidden = is_user_id(person)
    status: dict[str, Any] = {
        "id": str(GatewayId(turn.instance, *_message_of(body))),
        "status": event.kind.partition(".")[2] if event.kind in RECEIPT_KINDS else "failed",
        "timestamp": _seconds(body.get("reported_at"), event.at),
        **({"recipient_user_id": person} if hidden else {"recipient_id": person.removeprefix("+")}),
    }
    if facts.callback_data is not None:
        status["biz_opaque_callback_data"] = facts.callback_data
    if body.get("price_category") is not None:
        status["pricing"] = {
            "billable": bool(body["is_billable"]),
            "pricing_model": "PMP",
            "category": body["price_category"],
        }
    if event.kind is EventKind.RECEIPT_FAILED or event.kind in FAILED_KINDS:
        status["errors"] = [_error(body)]
    who = {"user_id": person} if hidden else {"wa_id": person.removeprefix("+")}
    return {"contacts": [who], "statuses": [status]}


def _message_of(body: Mapping[str, Any]) -> tuple[CampaignId, MessageId]:
    if body.get("reply_id") is not None:
        return REPLIES, MessageId(body["reply_id"])
    return CampaignId(body["campaign_id"]), MessageId(body["message_id"])


def _error(body: Mapping[str, Any]) -> dict[str, Any]:
    reason = str(body.get("reason") or body.get("state") or "")
    code = body.get("code")
    if code is None:
        code = next((known for word, known in _CODES.items() if reason.startswith(word)), _UNKNOWN_CODE)
    verdict = VERDICTS.get(code)
    title = verdict.reason if verdict is not None else reason
    details = "; ".join(str(part) for part in (reason, body.get("detail")) if part)
    return {
        "code": code,
        "title": title,
        "message": title,
        "error_data": {"details": details or title},
        "href": _ERRORS,
    }


def _inbound(turn: DeliveryTurn, event: Event, facts: RelayFacts) -> dict[str, Any]:
    body = event.body
    message = dict(body["content"])
    context = message.get("context")
    if isinstance(context, dict) and context.get("id") in facts.named:
        message["context"] = {**context, "id": str(GatewayId(turn.instance, *facts.named[context["id"]]))}
    reaction = message.get("reaction")
    if isinstance(reaction, dict) and reaction.get("message_id") in facts.named:
        ours = GatewayId(turn.instance, *facts.named[reaction["message_id"]])
        message["reaction"] = {**reaction, "message_id": str(ours)}
    kind = message.get("type")
    if kind in _MEDIA and isinstance(message.get(kind), dict):
        # why left out: Meta's place takes no token but Meta's; by its id the file is fetched through us.
        message[kind] = {name: value for name, value in message[kind].items() if name != "url"}
    told: dict[str, Any] = {"messages": [message]}
    if kind != "system":
        told = {"contacts": [_contact(body)], **told}
    return told


def _contact(body: Mapping[str, Any]) -> dict[str, Any]:
    contact: dict[str, Any] = {"profile": {"name": body["name"]} if body.get("name") else {}}
    if body.get("person"):
        contact["wa_id"] = body["person"].removeprefix("+")
    if body.get("user_id"):
        contact["user_id"] = body["user_id"]
    return contact


def _seconds(moment: str | None, otherwise: datetime) -> str:
    return str(int((datetime.fromisoformat(moment) if moment else otherwise).timestamp()))
