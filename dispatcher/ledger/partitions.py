"""Where a campaign's messages lie, and when the next partition begins.

A partition is a range of campaign numbers, and so a stretch of time. Statements that see every message name its tables
directly (`within`): asking the whole cost PostgreSQL 10 % more CPU per message with 12 partitions and 28 % with 60, for it
locks and prepares for all of them each time; measured on the project's two-core test machine, 2026-11. Everything else asks
`messages` and `receipts`, and names a campaign, so that one partition is read.

Partitions are made before they are needed: by upkeep, and by whoever creates a campaign beyond the last one.
Invariant: a partition's range never changes, and none ends before the last campaign's number.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from functools import lru_cache
from typing import NewType

import asyncpg

from dispatcher.domain.errors import NotFound
from dispatcher.domain.ids import CampaignId
from dispatcher.domain.receipt import AttemptRef
from dispatcher.ledger.database import Connection, Database, Session
from dispatcher.ledger.queries import load
from dispatcher.ledger.rows import Row

SQL = load("partitions")

PartitionId = NewType("PartitionId", int)
"""The first campaign number of a partition."""

PARTITION_LOCK = 7_221_003
"""Advisory lock held while partitions are made or dropped."""
WAIT_AT_MOST_MS = 500
"""For the locks that a change needs; then it is left to the next round, so that nobody waits longer behind it."""
IDS_MOST = 1_000_000
"""Campaign numbers of one partition at most. The first have a thousand; single messages need a number each."""

_TABLE = re.compile(r"\b(FROM|JOIN|INTO|UPDATE|ANALYZE|TABLE) (messages|members|receipts)\b")


@lru_cache(maxsize=1024)
def within(sql: str, partition: PartitionId) -> str:
    """The statement on the tables of one partition: what lies in others it will not find.

    Cached, so that asyncpg meets the same text again.
    """
    return _TABLE.sub(rf"\1 \2_{partition}", sql)


class Partitions:
    """Which partition has which campaign. What was read once stays true for as long as the campaign has its messages."""

    def __init__(self, session: Session) -> None:
        self._db = session
        self._first: list[int] = []
        self._end: list[int] = []

    async def of(self, campaign_id: CampaignId) -> PartitionId:
        """A campaign's partition; mostly from memory. Raises NotFound where it was dropped."""
        found = self._known(campaign_id)
        if found is None:
            rows = await self._db.fetch(SQL["all"])
            self._first = [row["first_id"] for row in rows]
            self._end = [row["end_id"] for row in rows]
            found = self._known(campaign_id)
        if found is None:
            raise NotFound(f"the messages of campaign {campaign_id} are not in the ledger any more")
        return found

    def _known(self, campaign_id: CampaignId) -> PartitionId | None:
        place = bisect_right(self._first, campaign_id) - 1
        return PartitionId(self._first[place]) if place >= 0 and campaign_id < self._end[place] else None


async def by_partition(
    session: Session | Connection, refs: Collection[AttemptRef]
) -> Mapping[PartitionId, Collection[AttemptRef]]:
    """Attempts by the partition that has them, in order; those of partitions that were dropped are left out."""
    campaigns = {ref.campaign_id for ref in refs}
    rows = await session.fetch(SQL["of_campaigns"], list(campaigns))
    places = {row["campaign_id"]: PartitionId(row["first_id"]) for row in rows}
    # why in order: whoever locks rows in several of them does it in this one.
    apart = sorted(set(places.values()))
    if len(apart) == 1 and len(places) == len(campaigns):
        return {apart[0]: refs}
    return {place: [ref for ref in refs if places.get(ref.campaign_id) == place] for place in apart}


async def with_live_campaigns(session: Session) -> Sequence[PartitionId]:
    """Partitions in which somebody may still be pending or claimed."""
    return [PartitionId(row["first_id"]) for row in await session.fetch(SQL["with_live_campaigns"])]


async def lock_partitions(connection: Connection) -> None:
    """Until the end of the transaction nobody else changes them; and every lock it takes is waited for a moment only.

    Raises LockNotAvailableError of asyncpg, as does each statement that follows.
    """
    await wait_for_locks(connection, WAIT_AT_MOST_MS)
    await connection.execute(SQL["lock"], PARTITION_LOCK)


async def wait_for_locks(connection: Connection, most_ms: int) -> None:
    """How long, from here on to the end of the transaction."""
    await connection.execute(SQL["wait_at_most"], str(most_ms))


async def cover(connection: Connection, campaign_id: CampaignId) -> None:
    """Make partitions up to this campaign, within the transaction that creates it. Rarely needed: upkeep is ahead."""
    await connection.execute(SQL["lock"], PARTITION_LOCK)
    while True:
        rows = await connection.fetch(SQL["newest"])
        if campaign_id < rows[0]["end_id"]:
            return
        await _add(connection, rows[0], ran_out=True)


async def prepare(database: Database, stretch: timedelta) -> bool:
    """Begin the next partition where the present one is as old as `stretch`, and have one more ready.

    One step at a time; False where a lock could not be had in time, and then nothing was changed.
    A partition that was used up within its stretch was too small: the one after the next is ten times as large.
    """
    try:
        async with database.transaction() as connection:
            await lock_partitions(connection)
            rows = await connection.fetch(SQL["newest"])
            present = _place_of(rows, await connection.fetchval(SQL["last_number"]))
            if present == 0:
                await _add(connection, rows[0], ran_out=_ran_out(rows[:2], stretch))
            elif _is_over(rows[present], stretch):
                await connection.execute(SQL["hold_numbers"])
                # why again: a number may have been taken before they were held.
                if _place_of(rows, await connection.fetchval(SQL["last_number"])) == present:
                    await connection.execute(SQL["go_on_from"], rows[present - 1]["first_id"])
    except asyncpg.LockNotAvailableError:
        return False
    return True


def _place_of(rows: Sequence[Row], number: int) -> int:
    """Among partitions, the newest first."""
    return next(place for place, row in enumerate(rows) if row["first_id"] <= number)


def _is_over(row: Row, stretch: timedelta) -> bool:
    return row["began_at"] is not None and row["now"] - row["began_at"] >= stretch


def _ran_out(rows: Sequence[Row], stretch: timedelta) -> bool:
    """Whether a partition began before the stretch of the one before it was over."""
    began_at, before_began_at = (row["began_at"] for row in rows)
    return began_at is not None and before_began_at is not None and began_at - before_began_at < stretch


async def _add(connection: Connection, newest: Row, *, ran_out: bool) -> None:
    first, ids = newest["end_id"], newest["end_id"] - newest["first_id"]
    await connection.execute(SQL["add"], first, first + min(IDS_MOST, ids * 10 if ran_out else ids))
