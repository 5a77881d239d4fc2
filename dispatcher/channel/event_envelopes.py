"""How events are written and signed for receivers: one pure function per format.

`events` is signed after Standard Webhooks: HMAC-SHA256 over the request's id, its time and its body. The request's id is
made of the ids of its events: the same events, the same id, also when they are delivered again; other events, another id.
So a receiver that drops what it has seen by the request's id never drops an event that it has not seen.

Source: Standard Webhooks 1.0.0, "Webhook headers" and "Signature scheme", read 2026-11.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets as random_secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TypeAlias

import orjson

from dispatcher.channel.meta_envelopes import write_meta
from dispatcher.domain.delivery import Delivery, DeliveryTurn, event_name
from dispatcher.domain.event import Event, EventFormat

PREFIX = "whsec_"
_SECRET_BYTES = 32
_USER_AGENT = "dispatcher-events/1"

Write: TypeAlias = Callable[[DeliveryTurn, Sequence[Event], Sequence[str], datetime], Delivery]


class EventEnvelopes:
    """The port `Envelopes`: a table of formats."""

    def __init__(self, formats: Mapping[EventFormat, Write] | None = None) -> None:
        self._formats = FORMATS if formats is None else formats

    def knows(self, format_: EventFormat) -> bool:
        """Whether anything is written in this format."""
        return format_ in self._formats

    def write(
        self, turn: DeliveryTurn, events: Sequence[Event], secrets: Sequence[str], at: datetime
    ) -> Delivery:
        """One body for all of them, signed with each of the secrets at this time."""
        return self._formats[turn.format](turn, events, secrets, at)


def write_events(
    turn: DeliveryTurn, events: Sequence[Event], secrets: Sequence[str], at: datetime
) -> Delivery:
    """The format `events`."""
    named = [
        {
            "id": event_name(turn.instance, event.id),
            "kind": event.kind,
            "at": event.at,
            "data": event.body,
        }
        for event in events
    ]
    body = orjson.dumps({"subscription_id": turn.subscription_id, "events": named})
    request_id = _request_id([str(each["id"]) for each in named])
    timestamp = str(int(at.timestamp()))
    signatures = [sign(secret, request_id, timestamp, body) for secret in secrets]
    return Delivery(
        body,
        {
            "content-type": "application/json",
            "user-agent": _USER_AGENT,
            "webhook-id": request_id,
            "webhook-timestamp": timestamp,
            "webhook-signature": " ".join(signatures),
        },
    )


def sign(secret: str, request_id: str, timestamp: str, body: bytes) -> str:
    """One signature of a request. secret: as its owner keeps it, `whsec_` and base64."""
    key = base64.b64decode(secret.removeprefix(PREFIX))
    signed = f"{request_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()


def new_secret() -> str:
    """A random secret, as its owner keeps it."""
    return PREFIX + base64.b64encode(random_secrets.token_bytes(_SECRET_BYTES)).decode()


def _request_id(names: Sequence[str]) -> str:
    return "req_" + hashlib.sha256("\n".join(names).encode()).hexdigest()[:32]


FORMATS: Mapping[EventFormat, Write] = {EventFormat.EVENTS: write_events, EventFormat.META: write_meta}
"""What subscriptions can choose among."""
