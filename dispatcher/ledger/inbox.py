"""The inbox of webhooks: written many at a time, emptied in the transaction that applies them.

`LedgerInbox` takes bodies in, hands them to intake in batches, and keeps what was put aside until somebody, or its own
time, puts it back. What a body says is left to the channel, what is done about it to the engine; `group_commit.py`
gathers what comes in at the same time. The statements are in `sql/inbox.sql`.

Invariant: a body leaves the inbox only together with its effects, or into quarantine.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import asyncpg

from dispatcher.domain.audit import Order
from dispatcher.domain.errors import LedgerUnavailable
from dispatcher.domain.inbox import Backlog, Body, PutAside, Quarantined
from dispatcher.ledger.audit import note, some
from dispatcher.ledger.conversations import LedgerPeople
from dispatcher.ledger.database import Database, Session, Transaction, reachable
from dispatcher.ledger.memory import LedgerMemory
from dispatcher.ledger.queries import load
from dispatcher.ledger.receipts import LedgerReceipts
from dispatcher.ledger.suppressions import LedgerSuppressions

SQL = load("inbox")

BATCH_BYTES = 8 * 2**20
"""About how much one batch holds; a single body may be larger than what is left of it."""
DETAIL_CHARACTERS = 1_000
"""Of a detail in quarantine; what is longer is cut."""


@dataclass(frozen=True, slots=True)
class LedgerBatch:
    """The port `IntakeBatch` on PostgreSQL."""

    bodies: Sequence[Body]
    session: Session
    """For whatever else belongs to the same transaction."""
    receipts: LedgerReceipts
    people: LedgerPeople
    suppressions: LedgerSuppressions
    memory: LedgerMemory

    def attempt(self) -> AbstractAsyncContextManager[object]:
        """A savepoint."""
        return self.session.transaction()

    async def put_aside(self, pieces: Sequence[PutAside]) -> None:
        """Into quarantine."""
        if pieces:
            await self.session.execute(
                SQL["put_aside"],
                [piece.received_at for piece in pieces],
                [piece.reason for piece in pieces],
                [_storable(piece.detail) for piece in pieces],
                [piece.content for piece in pieces],
                [piece.retry_at for piece in pieces],
            )


class LedgerInbox:
    """The port `Inbox` on PostgreSQL, and its operators' side."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def add(
        self, bodies: Sequence[bytes], *, within: timedelta, urgent: Sequence[bool] | None = None
    ) -> None:
        """Write bodies in one transaction. urgent: which of them are to be taken in before others; None: none.

        Raises LedgerUnavailable when the ledger is away, too slow or refuses; whether they were written is then not
        known, and writing them again does no harm: news is told apart by what it says.
        """
        seconds = within.total_seconds()
        try:
            with reachable():
                async with self._db.pool.acquire(timeout=seconds) as connection:
                    are_urgent = [False] * len(bodies) if urgent is None else urgent
                    await connection.execute(SQL["add"], bodies, are_urgent, timeout=seconds)
        except asyncpg.PostgresError as error:  # the disk is full, the server is a standby …
            raise LedgerUnavailable(f"PostgreSQL refuses webhooks: {error}") from error

    @asynccontextmanager
    async def batch(self, most: int) -> AsyncIterator[LedgerBatch]:
        """Take the oldest `most` bodies, or about `BATCH_BYTES` of them."""
        async with self._db.transaction() as connection:
            session = Transaction(connection)
            rows = await session.fetch(SQL["take"], most, BATCH_BYTES) if most else []
            bodies = [Body(row["received_at"], row["body"]) for row in rows]
            yield LedgerBatch(
                bodies,
                session,
                LedgerReceipts(session),
                LedgerPeople(session),
                LedgerSuppressions(session),
                LedgerMemory(session),
            )

    async def urgent(self) -> tuple[int, int] | None:
        """The first and the last urgent body that is not applied yet, by their place in the inbox; None when all are."""
        row = await self._db.fetchrow(SQL["urgent"])
        assert row is not None
        return None if row["first"] is None else (row["first"], row["last"])

    async def waiting(self) -> Backlog:
        """What nobody has taken in yet. Reads the whole inbox."""
        row = await self._db.fetchrow(SQL["waiting"])
        assert row is not None
        return Backlog(row["bodies"], row["oldest"])

    async def quarantined(self, limit: int, reason: str | None = None) -> Sequence[Quarantined]:
        """The newest first."""
        rows = await self._db.fetch(SQL["quarantined"], limit, reason)
        return [_quarantined_of(row) for row in rows]

    async def quarantined_piece(self, id_: int) -> Quarantined | None:
        """One piece; None when there is no such one."""
        row = await self._db.fetchrow(SQL["piece"], id_)
        return None if row is None else _quarantined_of(row)

    async def replay(self, ids: Sequence[int] = (), *, reason: str | None = None) -> int:
        """Put back into the inbox what has one of these ids or this reason. Returns how many pieces."""
        async with self._db.transaction() as connection:
            replayed = int(await connection.fetchval(SQL["replay"], ids, reason))
            what = {"pieces": some(ids, replayed), "reason": reason}
            await note(connection, Order.QUARANTINE_REPLAYED, "quarantine", after=what)
        return replayed

    async def retry_due(self) -> int:
        """Put back into the inbox what is to be looked at again now. Returns how many pieces."""
        return int(await self._db.fetchval(SQL["retry_due"]))

    async def discard(self, ids: Sequence[int]) -> int:
        """Forget pieces in quarantine for good. Returns how many there were."""
        async with self._db.transaction() as connection:
            discarded = int(await connection.fetchval(SQL["discard"], ids))
            await note(
                connection, Order.QUARANTINE_DISCARDED, "quarantine", before={"pieces": some(ids, discarded)}
            )
        return discarded


def _quarantined_of(row: asyncpg.Record) -> Quarantined:
    piece = PutAside(row["received_at"], row["reason"], row["detail"], row["body"], row["retry_at"])
    return Quarantined(id=row["id"], at=row["at"], piece=piece)


def _storable(text: str) -> str:
    """Without what PostgreSQL refuses in a text; strangers' words may be part of a detail."""
    return (
        text[:DETAIL_CHARACTERS].encode(errors="replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")
    )
