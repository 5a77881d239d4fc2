"""Events that wait to be delivered, in the ledger: turns with a lease, batches in order, dead letters to be.

The statements are in `sql/outbox.sql`; what fills the outbox are triggers (migration `events`).
Invariant: an event leaves the outbox when somebody has taken it, as a dead letter, or with its subscription.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import asyncpg

from dispatcher.domain.delivery import DeliveryTurn
from dispatcher.domain.event import (
    COUNTED_MOST,
    Event,
    EventFormat,
    EventId,
    EventKind,
    Stopped,
    SubscriptionId,
)
from dispatcher.domain.ids import SenderId, TurnId
from dispatcher.ledger.database import Session
from dispatcher.ledger.dead_events import forget_old
from dispatcher.ledger.queries import load
from dispatcher.ledger.rows import Row

SQL = load("outbox")

FORGOTTEN_AT_ONCE = 10_000
"""Rows that one look of upkeep clears away, so that it is short."""


class LedgerOutbox:
    """The port `Outbox` on PostgreSQL."""

    def __init__(self, session: Session) -> None:
        self._db = session

    async def tell(self, kind: EventKind, sender_id: SenderId | None, body: Mapping[str, Any]) -> None:
        """Write an event down for whoever wants it, within the session's transaction."""
        await self._db.execute(SQL["tell"], kind, sender_id, body)

    async def tell_one(
        self, subscription_id: SubscriptionId, kind: EventKind, body: Mapping[str, Any]
    ) -> EventId | None:
        """Write an event down for one subscription, whatever it has chosen. None: there is none, or it is not enabled."""
        event_id = await self._db.fetchval(SQL["tell_one"], subscription_id, kind, body)
        return None if event_id is None else EventId(event_id)

    async def open_turns(self, owner: str, lease: timedelta, most: int) -> Sequence[DeliveryTurn]:
        """Begin turns for subscriptions that are due and that nobody serves, or somebody whose lease ran out."""
        return [_turn_of(row) for row in await self._db.fetch(SQL["open_turns"], owner, lease, most)]

    async def next_batch(
        self, turn: DeliveryTurn, lease: timedelta, most: int, most_bytes: int
    ) -> Sequence[Event] | None:
        """Prolong the lease; the first events that wait, in order. None: the turn is somebody else's now."""
        rows = await self._db.fetch(
            SQL["next_batch"], turn.subscription_id, turn.turn_id, lease, most, most_bytes
        )
        return [event_of(row) for row in rows if row["id"] is not None] if rows else None

    async def delivered(self, turn: DeliveryTurn, events: Sequence[Event]) -> bool:
        """Forget events that were taken. False: the turn is somebody else's now, who delivers them again."""
        ids = [event.id for event in events]
        return bool(await self._db.fetchval(SQL["delivered"], turn.subscription_id, turn.turn_id, ids))

    async def failed(self, turn: DeliveryTurn, error: str, wait: timedelta) -> bool:
        """End the turn; the next one waits so long. False: it was somebody else's already."""
        row = await self._db.fetchrow(SQL["failed"], turn.subscription_id, turn.turn_id, error, wait)
        return row is not None

    async def close(self, turn: DeliveryTurn) -> None:
        """End the turn."""
        await self._db.execute(SQL["close_turn"], turn.subscription_id, turn.turn_id)

    async def stop(self, subscription_id: SubscriptionId, why: Stopped) -> bool:
        """Disable a subscription. False: it was disabled already."""
        return await self._db.fetchval(SQL["stop"], subscription_id, why) is not None

    async def bury(self, age: timedelta, most: int) -> int:
        """What has waited so long in vain becomes dead letters, at most so many per subscription. Returns how many."""
        return sum(row["events"] for row in await self._db.fetch(SQL["bury"], age, most))

    async def overfull(self, most: int) -> Sequence[SubscriptionId]:
        """Subscriptions for which more than so many events wait."""
        return [SubscriptionId(row["id"]) for row in await self._db.fetch(SQL["overfull"], most)]

    async def tidy(self, dead_kept: timedelta) -> None:
        """Clear away what belongs to nobody, and old dead letters; switch off triggers that nobody needs any more."""
        await self._db.execute(SQL["forget_strays"], FORGOTTEN_AT_ONCE)
        await forget_old(self._db, dead_kept, FORGOTTEN_AT_ONCE)
        if await self._db.fetchval(SQL["is_out_of_line"]):
            # why: somebody writes to the table for long just now; the next look tries again.
            with suppress(asyncpg.LockNotAvailableError):
                await self._db.execute(SQL["listen_in"])

    async def backlog(self) -> tuple[int, datetime | None]:
        """About how many events wait, and since when."""
        row = await self._db.fetchrow(SQL["backlog"], COUNTED_MOST)
        assert row is not None
        return row["pending"], row["oldest_at"]


async def listen_in(session: Session) -> None:
    """Bring the triggers in line with the subscriptions. Raises what asyncpg raises where a table is busy for too long."""
    await session.execute(SQL["listen_in"])


def event_of(row: Row) -> Event:
    """A row of the outbox, or of the dead letters."""
    return Event(EventId(row["id"]), EventKind(row["kind"]), row["at"], row["body"])


def _turn_of(row: Row) -> DeliveryTurn:
    return DeliveryTurn(
        turn_id=TurnId(row["turn_id"]),
        subscription_id=SubscriptionId(row["subscription_id"]),
        url=row["url"],
        format=EventFormat(row["format"]),
        secret_ref=row["secret_ref"],
        former_secret_ref=row["former_secret_ref"],
        failures=row["failures"],
        instance=row["instance"],
    )
