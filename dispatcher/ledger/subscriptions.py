"""Subscriptions in the ledger, and how delivery to each stands. The statements are in `sql/subscriptions.sql`.

Whatever order changes what somebody wants to hear also enables or disables the triggers that write it down, in the same
transaction: so nothing is missed from the commit on, and nothing is paid for what nobody hears.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import timedelta
from typing import Any

import asyncpg

from dispatcher.domain.audit import Order
from dispatcher.domain.errors import Busy, Conflict, NotFound, Outdated
from dispatcher.domain.event import (
    COUNTED_MOST,
    DeliveryState,
    EventFormat,
    EventId,
    EventKind,
    NewSubscription,
    Stopped,
    Subscription,
    SubscriptionId,
)
from dispatcher.ledger.audit import differences, note
from dispatcher.ledger.database import Connection, Session, Transaction
from dispatcher.ledger.outbox import LedgerOutbox, listen_in
from dispatcher.ledger.queries import load
from dispatcher.ledger.rows import Row

SQL = load("subscriptions")

TRIES = 10
PAUSE_S = 0.3
"""Between two attempts to listen in; each keeps others waiting for 200 ms at most."""


class LedgerSubscriptions:
    """The port `SubscriptionBook` on PostgreSQL."""

    def __init__(self, session: Session) -> None:
        self._db = session

    async def add(self, new: NewSubscription) -> Subscription:
        """Store a subscription. Raises NotFound for an unknown sender, Busy while a table is written to without a pause."""
        async with self._db.transaction() as connection:
            await _alone(connection)
            sender_ids = await _sender_ids(connection, new.senders)
            number = SubscriptionId(
                await connection.fetchval(
                    SQL["add"], new.url, new.kinds, sender_ids, new.format, new.secret_ref
                )
            )
            added, _ = await self._found(connection, number)
            await note(connection, Order.SUBSCRIPTION_ADDED, _subject(number), after=_told(added))
            await _listen_in(connection)
        return added

    async def all(self, after: SubscriptionId, limit: int) -> Sequence[tuple[Subscription, DeliveryState]]:
        """By number, those after this one, and how delivery to each stands."""
        rows = await self._db.fetch(SQL["all"], after, limit, None, COUNTED_MOST)
        return [_both_of(row) for row in rows]

    async def find(self, subscription_id: SubscriptionId) -> tuple[Subscription, DeliveryState]:
        """Raises NotFound."""
        return await self._found(self._db, subscription_id)

    async def change(
        self,
        subscription_id: SubscriptionId,
        changes: Mapping[str, Any],
        expected: Subscription | None = None,
    ) -> None:
        """Replace url, kinds, senders, is_enabled. Raises NotFound, Busy; Outdated where it is not what was expected."""
        async with self._db.transaction() as connection:
            await _alone(connection)
            before, _ = await self._found(connection, subscription_id)
            if expected is not None and before != expected:
                raise Outdated(
                    f"subscription {subscription_id} was changed meanwhile; nothing was changed now"
                )
            after = replace(before, **changes)
            if not after.is_enabled:
                after = replace(after, stopped=before.stopped or Stopped.BY_ORDER)
            else:
                after = replace(after, stopped=None)
            await connection.execute(
                SQL["change"],
                subscription_id,
                after.url,
                after.kinds,
                await _sender_ids(connection, after.senders),
                after.is_enabled,
                after.stopped,
            )
            changed = differences(_told(before), _told(after))
            await note(connection, Order.SUBSCRIPTION_CHANGED, _subject(subscription_id), **changed)
            await _listen_in(connection)

    async def rotate(self, subscription_id: SubscriptionId, secret_ref: str, overlap: timedelta) -> None:
        """Sign with another secret, and for so long with the one before it as well. Raises NotFound."""
        async with self._db.transaction() as connection:
            await _alone(connection)
            await self._found(connection, subscription_id)
            await connection.execute(SQL["rotate"], subscription_id, secret_ref, overlap)
            after, _ = await self._found(connection, subscription_id)
            until = {"former_secret_until": after.former_secret_until}
            await note(connection, Order.SUBSCRIPTION_SECRET_ROTATED, _subject(subscription_id), after=until)

    async def reseal(self, renew: Callable[[str], str]) -> int:
        """Replace each sealed secret by what `renew` makes of it, all or none. Returns how many subscriptions there are."""
        async with self._db.transaction() as connection:
            await _alone(connection)
            rows = await connection.fetch(SQL["sealed"])
            for row in rows:
                former = row["former_secret_ref"]
                await connection.execute(
                    SQL["reseal"],
                    row["id"],
                    renew(row["secret_ref"]),
                    renew(former) if former is not None else None,
                )
            await note(connection, Order.TOKENS_RESEALED, "subscriptions", after={"number": len(rows)})
        return len(rows)

    async def ping(self, subscription_id: SubscriptionId) -> EventId:
        """Write an event down for it. Raises NotFound; Conflict where it is not enabled."""
        async with self._db.transaction() as connection:
            await self._found(connection, subscription_id)
            outbox = LedgerOutbox(Transaction(connection))
            event_id = await outbox.tell_one(subscription_id, EventKind.SUBSCRIPTION_PING, {})
            if event_id is None:
                raise Conflict(
                    f"subscription {subscription_id} is not enabled; nothing was sent",
                    hint="enable it first: `dispatch subscriptions set ID --enable`",
                )
            await note(connection, Order.SUBSCRIPTION_PINGED, _subject(subscription_id))
        return event_id

    async def remove(self, subscription_id: SubscriptionId) -> None:
        """Forget it, with all that waits for it. Raises NotFound."""
        async with self._db.transaction() as connection:
            await _alone(connection)
            before, _ = await self._found(connection, subscription_id)
            await connection.execute(SQL["remove"], subscription_id)
            await connection.execute(SQL["remove_dead"], subscription_id)
            await note(
                connection, Order.SUBSCRIPTION_REMOVED, _subject(subscription_id), before=_told(before)
            )
            await _listen_in(connection)

    async def _found(
        self, where: Session | Connection, subscription_id: SubscriptionId
    ) -> tuple[Subscription, DeliveryState]:
        rows = await where.fetch(SQL["all"], 0, 1, subscription_id, COUNTED_MOST)
        if not rows:
            raise NotFound(
                f"there is no subscription {subscription_id}",
                hint="`dispatch subscriptions list` shows those there are",
            )
        return _both_of(rows[0])


async def _alone(connection: Connection) -> None:
    """One order at a time. Raises Busy where the caller has said how long it waits, and that was too short."""
    try:
        await connection.execute(SQL["lock"])
    except asyncpg.LockNotAvailableError:
        raise Busy(
            "somebody else is changing subscriptions; nothing was changed", hint="come again in some seconds"
        ) from None


async def _sender_ids(connection: Connection, senders: Sequence[str] | None) -> Sequence[int] | None:
    if senders is None:
        return None
    found = [row["id"] for row in await connection.fetch(SQL["sender_ids"], senders)]
    if len(found) != len(set(senders)):
        raise NotFound(
            "not all of these senders are known; nothing was changed",
            hint="`dispatch senders list` names them",
        )
    return found


async def _listen_in(connection: Connection) -> None:
    """Bring the triggers in line. Raises Busy where somebody, such as a large import, writes for longer than we try."""
    for attempt in range(TRIES):
        try:
            async with connection.transaction():
                await listen_in(Transaction(connection))
        except asyncpg.LockNotAvailableError:
            if attempt + 1 < TRIES:
                await asyncio.sleep(PAUSE_S)
        else:
            return
    raise Busy(
        "the ledger is being written to without a pause, perhaps by a large import; nothing was changed",
        hint="try again when it is done",
    )


def _both_of(row: Row) -> tuple[Subscription, DeliveryState]:
    subscription = Subscription(
        id=SubscriptionId(row["id"]),
        url=row["url"],
        kinds=row["kinds"],
        senders=row["senders"] if row["sender_ids"] is not None else None,
        format=EventFormat(row["format"]),
        is_enabled=row["is_enabled"],
        stopped=Stopped(row["stopped"]) if row["stopped"] is not None else None,
        created_at=row["created_at"],
        changed_at=row["changed_at"],
        former_secret_until=row["former_secret_until"],
    )
    state = DeliveryState(
        pending=row["pending"],
        oldest_at=row["oldest_at"],
        dead=row["dead"],
        failing_since=row["failing_since"],
        failures=row["failures"],
        last_error=row["last_error"],
        next_at=row["next_at"],
        delivered_at=row["delivered_at"],
    )
    return subscription, state


def _subject(subscription_id: SubscriptionId) -> str:
    return f"subscription {subscription_id}"


def _told(subscription: Subscription) -> Mapping[str, Any]:
    """What the audit log tells; of the address not what follows the question mark, where others keep secrets."""
    told = asdict(subscription) | {"url": subscription.url.partition("?")[0]}
    for field in ("id", "created_at", "changed_at", "former_secret_until"):
        del told[field]
    return told
