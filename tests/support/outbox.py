"""Subscriptions and their events in the ledger, in as few words as a test needs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from dispatcher.domain.delivery import DeliveryTurn
from dispatcher.domain.event import Event, EventFormat, NewSubscription, Subscription
from dispatcher.ledger.database import Database
from dispatcher.ledger.dead_events import LedgerDeadEvents
from dispatcher.ledger.outbox import LedgerOutbox
from dispatcher.ledger.subscriptions import LedgerSubscriptions

LEASE = timedelta(seconds=30)
RUN_OUT = timedelta(seconds=-1)


class Post:
    """The ports about events, on one ledger."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.book = LedgerSubscriptions(database)
        self.outbox = LedgerOutbox(database)
        self.dead = LedgerDeadEvents(database)

    async def subscribes(self, *kinds: str, senders: Sequence[str] | None = None) -> Subscription:
        """Somebody wants to hear of these."""
        new = NewSubscription(
            "https://shop.example/events", kinds, senders, EventFormat.EVENTS, "sealed:nothing"
        )
        return await self.book.add(new)

    async def waiting(self, subscription: Subscription) -> Sequence[Event]:
        """What waits for it, in the order in which it will be delivered."""
        rows = await self.database.fetch(
            "SELECT id, kind, at, body FROM outbox WHERE subscription_id = $1 ORDER BY id", subscription.id
        )
        return [Event(row["id"], row["kind"], row["at"], row["body"]) for row in rows]

    async def kinds(self, subscription: Subscription) -> list[str]:
        """The kinds of what waits for it."""
        return [str(event.kind) for event in await self.waiting(subscription)]

    async def a_turn(self, lease: timedelta = LEASE) -> DeliveryTurn:
        """The one turn that can be begun now."""
        [turn] = await self.outbox.open_turns("a test", lease, 10)
        return turn

    async def batch(self, turn: DeliveryTurn, most: int = 100) -> Sequence[Event] | None:
        """The next events of a turn."""
        return await self.outbox.next_batch(turn, LEASE, most, 2**20)

    async def ages(self, by: timedelta) -> None:
        """As if so much time had passed."""
        await self.database.execute("UPDATE outbox SET queued_at = queued_at - $1::interval", by)
        await self.database.execute(
            "UPDATE deliveries SET failing_since = failing_since - $1::interval, next_at = next_at - $1::interval,"
            " lease_until = lease_until - $1::interval",
            by,
        )
        await self.database.execute("UPDATE dead_events SET died_at = died_at - $1::interval", by)
