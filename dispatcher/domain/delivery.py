"""One turn of delivery, and one request of it: plain data between the ledger, the engine and the channel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dispatcher.domain.errors import BadValue
from dispatcher.domain.event import EventFormat, EventId, SubscriptionId
from dispatcher.domain.ids import TurnId


@dataclass(frozen=True, slots=True)
class DeliveryTurn:
    """Who delivers to a subscription just now, and all that is needed for it."""

    turn_id: TurnId
    subscription_id: SubscriptionId
    url: str
    format: EventFormat
    secret_ref: str
    former_secret_ref: str | None
    """The secret before it, while both sign."""
    failures: int
    """Turns before this one, in a row, that ended with a failure."""
    instance: str
    """The ledger's own name, part of each event's id."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A request: its body byte for byte, and its headers in lower case."""

    body: bytes
    headers: Mapping[str, str]


def event_name(instance: str, event_id: EventId) -> str:
    """An event's id as receivers know it: the same with every repetition, and no other ledger's. Without a full stop."""
    return f"evt_{instance}_{event_id}"


def event_number(name: str, instance: str) -> EventId:
    """The event of this ledger that a receiver knows by this id. Raises BadValue."""
    start, _, number = name.rpartition("_")
    if start != f"evt_{instance}" or not (number.isascii() and number.isdecimal()) or len(number) > 18:
        raise BadValue(f"{name} is no event of this ledger; nothing was done")
    return EventId(int(number))
