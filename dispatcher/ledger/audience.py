"""Fills a campaign with an audience: the whole file, or nothing.

Reading the file is left to an `Audience`, judging its rows to the `Sieve`, making them ready for the wire to `batches.py`;
this module finds duplicates, applies the suppression list, counts, and is fast: while PostgreSQL takes one chunk, a thread
reads and judges the next. A draft may be filled by several uploads, each of which is whole or not there at all.

A COPY straight into `messages` costs half of any INSERT … ON CONFLICT, but knows no duplicates. So people who are certainly
new are copied, and `members` decides about the doubtful few; about everybody, in a further upload.
Invariant: one transaction; the campaign's counters are the numbers of rows written.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass

import asyncpg

from dispatcher.domain.audience import Audience, Check, Rejected, RejectReason, Sieve
from dispatcher.domain.audit import Order
from dispatcher.domain.campaign import CampaignState
from dispatcher.domain.errors import BadValue, Busy, Conflict, NotFound
from dispatcher.domain.ids import CampaignId
from dispatcher.ledger.audit import note
from dispatcher.ledger.batches import Batch, ahead, batches
from dispatcher.ledger.copying import array, once
from dispatcher.ledger.database import Connection, Session
from dispatcher.ledger.partitions import PartitionId, within
from dispatcher.ledger.queries import load

SQL = load("audience")

ANALYZE_FROM_ROWS = 1_000
"""For a smaller file any plan will do, and autovacuum looks after the statistics."""

_MESSAGE_COLUMNS = ("campaign_id", "line", "person", "person_key", "params")
_REJECTED_COLUMNS = ("campaign_id", "line", "column", "reason", "value")
_STATEMENT_TIMEOUT_S = 600
"""For the statements that touch the whole audience at once."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an import is."""

    rows: int
    rejected: int
    read_bytes: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What came of a file: `rows == audience + sum(rejected.values())`."""

    upload: int
    """Its number among the campaign's uploads, from 1."""
    rows: int
    audience: int
    """People it brought, the suppressed ones among them."""
    suppressed: int
    rejected: Mapping[RejectReason, int]
    seconds: float
    size_bytes: int

    @property
    def rows_per_s(self) -> float:
        return self.rows / self.seconds


async def fill(
    session: Session,
    campaign_id: CampaignId,
    audience: Audience,
    *,
    phone_column: str | None,
    columns: Sequence[str],
    default_region: str | None,
    required: Sequence[str] | None = None,
    check: Check | None = None,
    progress: Callable[[Progress], None] | None = None,
    adds: bool = False,
) -> ImportReport:
    """Import a file into a draft; in the ledger, messages stand in the order of the file's chunks.

    phone_column: None finds it by name. columns: those the campaign carries, in its order.
    required, check: see `Sieve`. progress: called after each chunk, on the event loop.
    adds: the draft may have people already, and the file may bring nobody new; otherwise neither is allowed.
    Raises BadValue when the file or an argument is at fault, or when nobody of the file could be reached;
    Conflict when the campaign is no such draft, or is being filled by somebody else; NotFound.
    After any of these, and after any other exception, the ledger is as it was before.
    Cost: one round trip per chunk, three if duplicates may be in it; 16 MB. Each row costs twice as much in a further upload.
    """
    clock = asyncio.get_running_loop().time
    started = clock()
    sieve = Sieve(
        audience.columns,
        phone=phone_column,
        columns=columns,
        default_region=default_region,
        required=required,
        check=check,
    )
    async with session.transaction() as connection:
        before = await _lock(connection, campaign_id, columns, adds=adds)
        tally = _Tally(before)
        chunks = batches(audience, sieve, campaign_id, lines_before=before.lines, is_filled=before.people > 0)
        async with aclosing(ahead(chunks)) as coming:
            async for batch in coming:
                await _store(connection, campaign_id, before.partition, batch, tally)
                if progress is not None:
                    progress(
                        Progress(
                            tally.rows, tally.rejected.total(), audience.position_bytes, audience.size_bytes
                        )
                    )
        if not tally.people and not adds:
            raise tally.nobody_left()
        suppressed = await _finish(connection, campaign_id, before, tally)
    return ImportReport(
        upload=before.uploads + 1,
        rows=tally.rows,
        audience=tally.people,
        suppressed=suppressed,
        rejected=dict(tally.rejected.most_common()),
        seconds=clock() - started,
        size_bytes=audience.size_bytes,
    )


@dataclass(frozen=True, slots=True)
class _Before:
    """What the campaign has from earlier uploads."""

    uploads: int
    lines: int
    people: int
    last_id: int
    """Of its messages; those of this upload come after it."""
    partition: PartitionId
    """Where the messages go."""


async def _lock(
    connection: Connection, campaign_id: CampaignId, columns: Sequence[str], *, adds: bool
) -> _Before:
    try:
        lock = SQL["await_campaign"] if adds else SQL["lock_campaign"]
        row = await connection.fetchrow(lock, campaign_id)
    except asyncpg.LockNotAvailableError:
        raise Busy(
            f"campaign {campaign_id} is being changed by somebody else; nothing was imported",
            hint="an import may be running already; try again when it has ended",
        ) from None
    if row is None:
        raise NotFound(f"there is no campaign {campaign_id}; nothing was imported")
    if row["state"] != CampaignState.DRAFT or (row["is_filled"] and not adds):
        what = "has its people already" if row["is_filled"] else f"is {row['state']}, not a draft"
        raise Conflict(
            f"campaign {campaign_id} {what}; nothing was imported",
            hint="create another campaign for this file",
        )
    if row["columns"] != list(columns):
        raise BadValue(
            f"campaign {campaign_id} carries the columns {row['columns']}, not {list(columns)}; nothing was imported"
        )
    partition = PartitionId(row["partition"])
    before = await connection.fetchrow(within(SQL["before"], partition), campaign_id)
    assert before is not None
    return _Before(before["uploads"], before["lines"], row["audience"], before["last_id"], partition)


class _Tally:
    """What has been written so far."""

    def __init__(self, before: _Before) -> None:
        self.people = 0
        self.last_line = before.lines
        self.last_id = before.last_id
        self.rejected: Counter[RejectReason] = Counter()
        self._examples: dict[RejectReason, Rejected] = {}

    @property
    def rows(self) -> int:
        return self.people + self.rejected.total()

    def reject(self, rows: Sequence[Rejected]) -> None:
        for row in rows:
            self.rejected[row.reason] += 1
            self._examples.setdefault(row.reason, row)

    def nobody_left(self) -> BadValue:
        problems = []
        for reason, rows in self.rejected.most_common():
            first = self._examples[reason]
            problems.append(f"{reason}: {rows:,} rows, the first in line {first.line}: {first.value!r}")
        hint = "look at the phone column"
        if RejectReason.NO_COUNTRY_CODE in self.rejected:
            hint = "numbers without a country code need a default region, such as GB"
        return BadValue(
            f"none of {self.rows:,} rows could become a message. Nothing was imported",
            hint=hint,
            problems=problems,
        )


async def _store(
    connection: Connection, campaign_id: CampaignId, partition: PartitionId, batch: Batch, tally: _Tally
) -> None:
    tally.last_line = batch.last_line
    if batch.new:
        status = await connection.copy_to_table(
            f"messages_{partition}", source=once(batch.new), columns=_MESSAGE_COLUMNS, format="text"
        )
        tally.people += _count(status)
        tally.last_id = await connection.fetchval(
            within(SQL["add_members"], partition), campaign_id, tally.last_id
        )
    rejected = list(batch.rejected)
    if batch.doubtful:
        added = await connection.fetch(
            within(SQL["add_doubtful"], partition),
            campaign_id,
            [person.line for person in batch.doubtful],
            [person.e164 for person in batch.doubtful],
            [person.key for person in batch.doubtful],
            [array(person.values) for person in batch.doubtful],
        )
        tally.people += len(added)
        tally.last_id = max([tally.last_id, *(row["id"] for row in added)])
        lines = {row["line"] for row in added}
        rejected += [
            Rejected(person.line, "", RejectReason.DUPLICATE, person.key)
            for person in batch.doubtful
            if person.line not in lines
        ]
    if rejected:
        await connection.copy_records_to_table(
            "rejected_rows", records=[(campaign_id, *row) for row in rejected], columns=_REJECTED_COLUMNS
        )
        tally.reject(rejected)


async def _finish(connection: Connection, campaign_id: CampaignId, before: _Before, tally: _Tally) -> int:
    """Complete the duplicates, apply the suppression list, write the counters. Returns how many are suppressed."""
    number, slow = before.uploads + 1, {"timeout": _STATEMENT_TIMEOUT_S}
    here = before.partition
    # why not for every page: what the statistics knew before is right enough until the campaign has doubled.
    if tally.rows >= max(ANALYZE_FROM_ROWS, before.people):
        for statement in (SQL["analyze_messages"], SQL["analyze_members"]):
            await connection.execute(within(statement, here), **slow)
    if former := await connection.fetchval(within(SQL["reject_former_numbers"], here), campaign_id, **slow):
        tally.people -= former
        tally.rejected[RejectReason.DUPLICATE] += former
    suppressed = _count(
        await connection.execute(within(SQL["suppress"], here), campaign_id, before.last_id, **slow)
    )
    lines, rejected = tally.last_line - before.lines, tally.rejected.total()
    counts = (tally.people, suppressed, rejected)
    await connection.execute(SQL["add_upload"], campaign_id, number, before.lines, lines, *counts)
    if RejectReason.DUPLICATE in tally.rejected:
        await connection.execute(
            within(SQL["name_first_lines"], here), campaign_id, before.lines, number, **slow
        )
    await connection.execute(SQL["finish"], campaign_id, *counts)
    after = {
        "upload": number,
        "rows": tally.rows,
        "people": tally.people,
        "suppressed": suppressed,
        "rejected": rejected,
    }
    await note(connection, Order.PEOPLE_ADDED, f"campaign {campaign_id}", after=after)
    return suppressed


def _count(status: str) -> int:
    """From a command's tag, such as "INSERT 0 12"."""
    return int(status.rpartition(" ")[2])
