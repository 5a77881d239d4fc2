"""Dead letters in the ledger: shown, replayed, purged. The statements are in `sql/dead_events.sql`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from dispatcher.domain.audit import Order
from dispatcher.domain.event import DeadEvent, Event, EventId, EventKind, SubscriptionId
from dispatcher.ledger.audit import note, some
from dispatcher.ledger.database import Session
from dispatcher.ledger.queries import load

SQL = load("dead_events")


class LedgerDeadEvents:
    """The port `DeadEvents` on PostgreSQL."""

    def __init__(self, session: Session) -> None:
        self._db = session

    async def page(self, subscription_id: SubscriptionId, after: EventId, limit: int) -> Sequence[DeadEvent]:
        """In the order in which they became true, those after this one."""
        rows = await self._db.fetch(SQL["page"], subscription_id, after, limit)
        return [
            DeadEvent(
                Event(EventId(row["id"]), EventKind(row["kind"]), row["at"], row["body"]),
                row["died_at"],
                row["error"],
            )
            for row in rows
        ]

    async def replay(
        self, subscription_id: SubscriptionId, ids: Sequence[EventId] | None, since: datetime | None
    ) -> int:
        """Have them delivered again, under their ids: these, or those since then, or all. Returns how many."""
        return await self._order(SQL["replay"], Order.EVENTS_REPLAYED, subscription_id, ids, since)

    async def purge(
        self, subscription_id: SubscriptionId, ids: Sequence[EventId] | None, before: datetime | None
    ) -> int:
        """Forget them for good: these, or those before then, or all. Returns how many."""
        return await self._order(SQL["purge"], Order.EVENTS_PURGED, subscription_id, ids, before)

    async def _order(
        self,
        sql: str,
        order: Order,
        subscription_id: SubscriptionId,
        ids: Sequence[EventId] | None,
        bound: datetime | None,
    ) -> int:
        async with self._db.transaction() as connection:
            events = int(await connection.fetchval(sql, subscription_id, ids, bound))
            what = {"events": some(ids or (), events), "bound": bound}
            await note(connection, order, f"subscription {subscription_id}", after=what)
        return events


async def forget_old(session: Session, kept: timedelta, most: int) -> None:
    """Forget those that died longer ago than this, so many at most."""
    await session.execute(SQL["forget_old"], kept, most)
