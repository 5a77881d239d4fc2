"""The answers of the API about events, as types: JSON as it came. Times are texts, ISO 8601 in UTC."""

from __future__ import annotations

from typing import Any, Literal, TypedDict


class Delivery(TypedDict):
    """How delivery to a subscription stands."""

    pending: int
    oldest_at: str | None
    dead: int
    failing_since: str | None
    failures: int
    last_error: str | None
    next_at: str | None
    delivered_at: str | None


class Subscription(TypedDict):
    """Who is told of what."""

    id: int
    url: str
    kinds: list[str]
    senders: list[str] | None
    format: Literal["events", "meta"]
    enabled: bool
    stopped: Literal["by_order", "gone", "too_many"] | None
    created_at: str
    changed_at: str
    former_secret_until: str | None
    delivery: Delivery


class CreatedSubscription(Subscription):
    """A new one, with its secret."""

    secret: str | None


class Secret(TypedDict):
    """Shown once."""

    secret: str


class Ping(TypedDict):
    """An event on its way."""

    event: str


class DeadLetter(TypedDict):
    """An event that nobody took in time."""

    id: str
    kind: str
    at: str
    died_at: str
    error: str
    data: dict[str, Any]


class Done(TypedDict):
    """How many it was."""

    changed: int
