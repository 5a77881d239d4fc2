"""Old campaigns in the ledger: what may go, and how it goes. The statements are in `sql/archive.sql`.

Invariant: a partition is dropped in the transaction that has proved its counters from its messages, written down what its
reports need, and marked its campaigns; so each campaign has either its people or the proof.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import asyncpg

from dispatcher.domain.archive import KeptBecause, Partition
from dispatcher.domain.audit import Order
from dispatcher.domain.ids import CampaignId
from dispatcher.ledger.audit import note
from dispatcher.ledger.database import Connection, Database, Transaction
from dispatcher.ledger.partitions import (
    WAIT_AT_MOST_MS,
    PartitionId,
    lock_partitions,
    prepare,
    wait_for_locks,
    within,
)
from dispatcher.ledger.queries import load
from dispatcher.ledger.results import results_of, to_json

SQL = load("archive")

SLOW_S = 600
"""For the statements that read a whole partition: some seconds per million people."""


WRITERS_MS = 3_000
"""How long writers to an old partition are waited for: long enough for PostgreSQL to call an autovacuum off, after a second."""


class LedgerArchive:
    """The port `ArchiveBook` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def prepare(self, stretch: timedelta) -> bool:
        """Begin the next partition when the present one is so old, and have one more ready."""
        return await prepare(self._db, stretch)

    async def partitions(self) -> Sequence[Partition]:
        """Those in which no new campaign begins, the oldest first."""
        return [Partition(**row) for row in await self._db.fetch(SQL["partitions"], None)]

    async def drop(self, partition: Partition, keep: timedelta) -> Sequence[KeptBecause]:
        """Drop it, if nothing keeps it now, or else say what does."""
        try:
            async with self._db.transaction() as connection:
                return await _drop(connection, partition.first, keep)
        except asyncpg.LockNotAvailableError:
            return [KeptBecause.BUSY]

    async def clear(self, most: int) -> int:
        """Delete what else the dropped campaigns had, `most` rows at most. Returns how many."""
        for row in await self._db.fetch(SQL["dropped"]):
            gone = int(await self._db.fetchval(SQL["clear_attempts"], *row, most))
            gone += int(await self._db.fetchval(SQL["clear_rejected"], *row, most - gone))
            if gone:
                return gone
            await self._db.execute(SQL["forget_partition"], row["first_id"])
        return 0

    async def forget(self, news: timedelta, audit: timedelta, most: int) -> int:
        """Delete old news of accounts and old entries of the audit log, `most` of each at most. Returns how many."""
        forgotten = int(await self._db.fetchval(SQL["forget_news"], news, most))
        return forgotten + int(await self._db.fetchval(SQL["forget_audit"], audit, most))


async def _drop(connection: Connection, first: int, keep: timedelta) -> Sequence[KeptBecause]:
    await lock_partitions(connection)
    if not await connection.fetchval(SQL["may_drop"]):
        return [KeptBecause.FENCED]
    if await connection.fetchrow(SQL["partitions"], first) is None:
        return []  # somebody else was faster
    here = PartitionId(first)
    await wait_for_locks(connection, WRITERS_MS)
    await connection.execute(within(SQL["keep_writers_out"], here))
    await wait_for_locks(connection, WAIT_AT_MOST_MS)
    row = await connection.fetchrow(SQL["partitions"], first)
    assert row is not None
    partition = Partition(**row)
    if kept := partition.kept_because(keep, await connection.fetchval("SELECT ledger_now()")):
        return kept
    campaigns = partition.first, partition.last
    if await connection.fetchval(within(SQL["differences"], here), *campaigns, timeout=SLOW_S):
        return [KeptBecause.DIFFERENT]
    session = Transaction(connection)
    for campaign in await connection.fetch(SQL["campaigns_of_audiences"], *campaigns):
        results = await results_of(session, CampaignId(campaign["id"]))
        await connection.execute(SQL["keep_report"], campaign["id"], to_json(results))
    await connection.execute(SQL["archive"], *campaigns, timeout=SLOW_S)
    await connection.execute(within(SQL["drop"], here))
    await connection.execute(SQL["note_dropped"], first)
    told = {"campaigns": partition.campaigns, "people": partition.people, "bytes": partition.size_bytes}
    subject = f"campaigns {partition.first} to {partition.last}"
    await note(connection, Order.CAMPAIGNS_ARCHIVED, subject, before=told)
    return []
