"""Subscriptions as people and programs order them: what is checked before the ledger has it, and their secrets.

A secret is written out once, when it is made, and kept sealed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from dispatcher.domain.errors import BadValue
from dispatcher.domain.event import (
    DeadEvent,
    DeliveryState,
    EventFormat,
    EventId,
    NewSubscription,
    Subscription,
    SubscriptionId,
    checked_kinds,
)
from dispatcher.domain.relay import RelayTo, checked_meta_kinds
from dispatcher.ports import Callbacks, DeadEvents, Envelopes, SubscriptionBook

OVERLAP = timedelta(days=1)
"""How long a secret still signs beside the one that has replaced it."""


@dataclass(frozen=True, slots=True)
class Subscriptions:
    """The engine's door for subscriptions and dead letters."""

    book: SubscriptionBook
    dead: DeadEvents
    callbacks: Callbacks
    envelopes: Envelopes
    new_secret: Callable[[], str]
    seal: Callable[[str], str]
    instance: str
    """The ledger's own name, part of each event's id."""

    async def prepare(
        self,
        url: str,
        kinds: Sequence[str],
        senders: Sequence[str] | None = None,
        format_: EventFormat = EventFormat.EVENTS,
        *,
        relay: RelayTo | None = None,
    ) -> tuple[NewSubscription, str]:
        """A checked subscription, and the one time that its secret is written out; the book stores it. Raises BadValue.

        relay: of a subscription in Meta's form, and of no other.
        """
        if not self.envelopes.knows(format_):
            raise BadValue(f"events are not written in the format {format_!r}; nothing was created")
        if (relay is not None) is not (format_ is EventFormat.META):
            raise BadValue(
                "the format `meta`, and no other, needs an app_secret and a verify_token; nothing was created"
            )
        chosen = checked_kinds(kinds) if relay is None else checked_meta_kinds(kinds)
        secret = self.new_secret() if relay is None else relay.app_secret
        sealed = self.seal(secret)
        await self.callbacks.check(url)
        if relay is not None:
            await self.callbacks.shake_hands(url, relay.verify_token)
        return NewSubscription(url, chosen, _distinct(senders), format_, sealed), secret

    async def create(
        self,
        url: str,
        kinds: Sequence[str],
        senders: Sequence[str] | None = None,
        format_: EventFormat = EventFormat.EVENTS,
        *,
        relay: RelayTo | None = None,
    ) -> tuple[Subscription, str]:
        """The same, stored. Raises BadValue, NotFound, Busy."""
        new, secret = await self.prepare(url, kinds, senders, format_, relay=relay)
        return await self.book.add(new), secret

    async def all(self, after: SubscriptionId, limit: int) -> Sequence[tuple[Subscription, DeliveryState]]:
        """By number, those after this one, and how delivery to each stands."""
        return await self.book.all(after, limit)

    async def find(self, subscription_id: SubscriptionId) -> tuple[Subscription, DeliveryState]:
        """Raises NotFound."""
        return await self.book.find(subscription_id)

    async def change(
        self,
        subscription_id: SubscriptionId,
        changes: Mapping[str, Any],
        expected: Subscription | None = None,
    ) -> tuple[Subscription, DeliveryState]:
        """Replace url, kinds, senders, is_enabled. Raises BadValue, NotFound, Busy; Outdated if it is not as expected."""
        checked = dict(changes)
        if "kinds" in checked:
            checked["kinds"] = checked_kinds(checked["kinds"])
        if "senders" in checked:
            checked["senders"] = _distinct(checked["senders"])
        if "url" in checked:
            await self.callbacks.check(checked["url"])
        await self.book.change(subscription_id, checked, expected)
        return await self.book.find(subscription_id)

    async def rotate_secret(self, subscription_id: SubscriptionId) -> str:
        """Another secret, written out this once; the one before it signs as well for a day. Raises NotFound, BadValue."""
        secret = self.new_secret()
        await self.book.rotate(subscription_id, self.seal(secret), OVERLAP)
        return secret

    async def ping(self, subscription_id: SubscriptionId) -> EventId:
        """Send an event that says nothing, behind all that waits. Raises NotFound, Conflict."""
        return await self.book.ping(subscription_id)

    async def remove(self, subscription_id: SubscriptionId) -> tuple[Subscription, DeliveryState]:
        """Forget it, with all that waits for it. Returns what it was. Raises NotFound."""
        removed = await self.book.find(subscription_id)
        await self.book.remove(subscription_id)
        return removed

    async def dead_letters(
        self, subscription_id: SubscriptionId, after: EventId, limit: int
    ) -> Sequence[DeadEvent]:
        """In order, those after this one. Raises NotFound."""
        await self.book.find(subscription_id)
        return await self.dead.page(subscription_id, after, limit)

    async def replay(
        self,
        subscription_id: SubscriptionId,
        ids: Sequence[EventId] | None = None,
        since: datetime | None = None,
    ) -> int:
        """Have dead letters delivered again: these, or what became true since then, or all. Raises NotFound."""
        await self.book.find(subscription_id)
        return await self.dead.replay(subscription_id, ids, since)

    async def purge(
        self,
        subscription_id: SubscriptionId,
        ids: Sequence[EventId] | None = None,
        before: datetime | None = None,
    ) -> int:
        """Forget dead letters for good: these, or what became true before then, or all. Raises NotFound."""
        await self.book.find(subscription_id)
        return await self.dead.purge(subscription_id, ids, before)


def _distinct(senders: Sequence[str] | None) -> Sequence[str] | None:
    if senders is None:
        return None
    if not senders:
        raise BadValue("a list of senders without one means nobody; leave it out to hear of all")
    return sorted(set(senders))
