"""Subscriptions and dead letters as the API takes and shows them. A secret comes out once, when it is made."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

from fastapi import Path
from pydantic import Field, StringConstraints

from dispatcher.api.schemas import LARGEST, Flag, Model, Moment, Name, example
from dispatcher.domain.callback import URL_MOST_CHARS
from dispatcher.domain.delivery import event_name, event_number
from dispatcher.domain.errors import BadValue
from dispatcher.domain.event import (
    EVERYTHING,
    FAMILIES,
    FAMILY,
    KINDS_MOST,
    DeadEvent,
    DeliveryState,
    EventFormat,
    EventId,
    EventKind,
    Stopped,
    Subscription,
)

_CHOICES = [EVERYTHING, *(family + FAMILY for family in FAMILIES), *map(str, EventKind)]
Kinds = Annotated[
    list[Annotated[str, StringConstraints(pattern=f"^({'|'.join(map(re.escape, _CHOICES))})$")]],
    Field(
        min_length=1,
        max_length=KINDS_MOST,
        description="Kinds such as `message.accepted`, families such as `message.*`, or `*`.",
    ),
]
CallbackUrl = Annotated[
    str,
    StringConstraints(max_length=URL_MOST_CHARS, pattern=r"^https?://[^\x00-\x20\x7f-\U0010ffff]+$"),
    Field(
        description="Where events are posted: https and in the public internet, unless events_networks allows more."
    ),
]
Senders = Annotated[
    list[Name] | None,
    Field(
        min_length=1,
        max_length=1_000,
        description="Only what concerns one of these; null: whatever it concerns.",
    ),
]
SubscriptionPath = Annotated[
    int, Path(ge=1, le=LARGEST, description="The subscription's number.", examples=[1])
]
EventName = Annotated[str, StringConstraints(pattern=r"^evt_[a-z0-9]{1,20}_[0-9]{1,18}$")]

_SUBSCRIPTION: Mapping[str, Any] = {
    "id": 1,
    "url": "https://shop.example/events",
    "kinds": ["campaign.*", "receipt.failed"],
    "senders": None,
    "format": "events",
    "enabled": True,
    "stopped": None,
    "created_at": "2026-09-30T07:00:00Z",
    "changed_at": "2026-09-30T07:00:00Z",
    "former_secret_until": None,
    "delivery": {
        "pending": 120,
        "oldest_at": "2026-09-30T08:10:00Z",
        "dead": 0,
        "failing_since": "2026-09-30T08:10:01Z",
        "failures": 3,
        "last_error": "it answered 503",
        "next_at": "2026-09-30T08:10:12Z",
        "delivered_at": "2026-09-30T08:09:59Z",
    },
}


class SubscriptionIn(Model):
    """Who wants to hear what."""

    model_config = example(url="https://shop.example/events", kinds=["campaign.*", "receipt.failed"])

    url: CallbackUrl
    kinds: Kinds
    senders: Senders = None
    format: Annotated[EventFormat, Field(description="How events are written.")] = EventFormat.EVENTS


class SubscriptionChange(Model):
    """What is to be different; what is not named stays."""

    model_config = example(kinds=["campaign.*"], enabled=True)

    url: CallbackUrl | None = None
    kinds: Kinds | None = None
    senders: Senders = None
    enabled: Annotated[
        Flag | None,
        Field(description="What becomes true while it is false is not kept. true also ends a stop of ours."),
    ] = None

    def changes(self) -> dict[str, Any]:
        """Fields of `Subscription`."""
        changes: dict[str, Any] = {
            name: value for name in ("url", "kinds") if (value := getattr(self, name)) is not None
        }
        if "senders" in self.model_fields_set:
            changes["senders"] = self.senders
        if self.enabled is not None:
            changes["is_enabled"] = self.enabled
        return changes


class DeliveryOut(Model):
    """How delivery stands."""

    pending: Annotated[int, Field(description="Events that wait; counted up to 10,001.")]
    oldest_at: Annotated[datetime | None, Field(description="When the first of them became true.")]
    dead: Annotated[int, Field(description="Dead letters; counted up to 10,001.")]
    failing_since: datetime | None
    failures: Annotated[int, Field(description="In a row.")]
    last_error: str | None
    next_at: Annotated[datetime | None, Field(description="null: as soon as there is something.")]
    delivered_at: Annotated[datetime | None, Field(description="When the receiver last took something.")]


class SubscriptionOut(Model):
    """A subscription as it stands; never its secret."""

    model_config = example(**_SUBSCRIPTION)

    id: int
    url: str
    kinds: list[str]
    senders: list[str] | None
    format: EventFormat
    enabled: bool
    stopped: Annotated[Stopped | None, Field(description="Why it is not enabled.")]
    created_at: datetime
    changed_at: datetime
    former_secret_until: Annotated[
        datetime | None, Field(description="Until then the secret before the present one signs as well.")
    ]
    delivery: DeliveryOut

    @classmethod
    def of(cls, subscription: Subscription, state: DeliveryState) -> SubscriptionOut:
        """As the house has it."""
        return cls(**_shown(subscription, state))


class SubscriptionCreated(SubscriptionOut):
    """A new subscription, and the one time that its secret is written out."""

    model_config = example(**_SUBSCRIPTION, secret="whsec_ and 44 more characters")  # noqa: S106 - opens nothing

    secret: Annotated[
        str | None,
        Field(description="Keep it now: it is never shown again. null in the answer to a repeated call."),
    ]

    @classmethod
    def new(cls, subscription: Subscription, state: DeliveryState) -> SubscriptionCreated:
        """As it is kept for a repetition: without its secret."""
        return cls(**_shown(subscription, state), secret=None)


class SubscriptionPage(Model):
    """Subscriptions, by number."""

    model_config = example(items=[_SUBSCRIPTION], next=None)

    items: list[SubscriptionOut]
    next: str | None


class SecretOut(Model):
    """A new secret, and the one time that it is written out."""

    model_config = example(secret="whsec_ and 44 more characters")  # noqa: S106 - opens nothing

    secret: Annotated[str, Field(description="Keep it now. The one before it signs as well for a day.")]


class PingOut(Model):
    """What is on its way."""

    model_config = example(event="evt_a1b2c3d4_345")

    event: Annotated[str, Field(description="The event's id, as the receiver will see it.")]


class DeadOut(Model):
    """A dead letter."""

    id: str
    kind: str
    at: Annotated[datetime, Field(description="When it became true.")]
    died_at: datetime
    error: Annotated[str, Field(description="What happened to the last attempt.")]
    data: dict[str, Any]

    @classmethod
    def of(cls, dead: DeadEvent, instance: str) -> DeadOut:
        """As the house has it."""
        return cls(
            id=event_name(instance, dead.event.id),
            kind=dead.event.kind,
            at=dead.event.at,
            died_at=dead.died_at,
            error=dead.error,
            data=dict(dead.event.body),
        )


class DeadPage(Model):
    """Dead letters, in the order in which they became true."""

    model_config = example(
        items=[
            {
                "id": "evt_a1b2c3d4_345",
                "kind": "campaign.completed",
                "at": "2026-09-29T08:10:00Z",
                "died_at": "2026-09-30T08:10:03Z",
                "error": "it answered 503",
                "data": {"campaign_id": 12, "name": "Autumn", "state": "completed", "was": "running"},
            }
        ],
        next=None,
    )

    items: list[DeadOut]
    next: str | None


Events = Annotated[
    list[EventName] | None,
    Field(min_length=1, max_length=10_000, description="These events, by their ids."),
]


class ReplayIn(Model):
    """Which dead letters are to be delivered again: exactly one of the three."""

    model_config = example(since="2026-09-29T00:00:00Z")

    events: Events = None
    since: Annotated[Moment | None, Field(description="All that became true since then.")] = None
    all: Annotated[Flag, Field(description="All there are.")] = False

    def chosen(self, instance: str) -> tuple[Sequence[EventId] | None, datetime | None]:
        """Raises BadValue."""
        return _chosen(self.events, self.since, instance, is_all=self.all)


class PurgeIn(Model):
    """Which dead letters are to be forgotten: exactly one of the three."""

    model_config = example(events=["evt_a1b2c3d4_345"])

    events: Events = None
    before: Annotated[Moment | None, Field(description="All that became true before then.")] = None
    all: Annotated[Flag, Field(description="All there are.")] = False

    def chosen(self, instance: str) -> tuple[Sequence[EventId] | None, datetime | None]:
        """Raises BadValue."""
        return _chosen(self.events, self.before, instance, is_all=self.all)


def _chosen(
    events: Sequence[str] | None, bound: datetime | None, instance: str, *, is_all: bool
) -> tuple[Sequence[EventId] | None, datetime | None]:
    if (events is not None) + (bound is not None) + is_all != 1:
        raise BadValue("say which dead letters are meant, in exactly one way; nothing was done")
    return [event_number(each, instance) for each in events] if events is not None else None, bound


def _shown(subscription: Subscription, state: DeliveryState) -> dict[str, Any]:
    return {
        "id": subscription.id,
        "url": subscription.url,
        "kinds": list(subscription.kinds),
        "senders": list(subscription.senders) if subscription.senders is not None else None,
        "format": subscription.format,
        "enabled": subscription.is_enabled,
        "stopped": subscription.stopped,
        "created_at": subscription.created_at,
        "changed_at": subscription.changed_at,
        "former_secret_until": subscription.former_secret_until,
        "delivery": DeliveryOut.model_validate(state, from_attributes=True),
    }
