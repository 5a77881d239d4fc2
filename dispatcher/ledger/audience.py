"""Fills a campaign with an audience: the whole file, or nothing.

Reading the file is left to an `Audience`, judging its rows to the `Sieve`; this module finds duplicates, applies the
suppression list, counts, and is fast: while PostgreSQL takes one chunk, a thread reads and judges the next.

A COPY straight into `messages` costs half of any INSERT … ON CONFLICT, but ends at the first duplicate. So a bitmap
parts the people who are certainly new, which is nearly everybody, from the doubtful few, about whom the unique index
decides. The bitmap only ever errs towards doubt.
Invariant: one transaction; the campaign's counters are the numbers of rows written.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import TypeVar

import asyncpg

from dispatcher.domain.audience import Audience, Check, Person, Rejected, RejectReason, Sieve
from dispatcher.domain.campaign import CampaignState
from dispatcher.domain.errors import BadValue, Conflict, NotFound
from dispatcher.domain.ids import CampaignId
from dispatcher.ledger.copying import array, escaped, once
from dispatcher.ledger.database import Connection, Database
from dispatcher.ledger.queries import load

SQL = load("audience")

ANALYZE_FROM_ROWS = 1_000
"""For a smaller file any plan will do, and autovacuum looks after the statistics."""

_MESSAGE_COLUMNS = ("campaign_id", "line", "person", "person_key", "params")
_REJECTED_COLUMNS = ("campaign_id", "line", "column", "reason", "value")
_STATEMENT_TIMEOUT_S = 600
"""For the statements that touch the whole audience at once."""

_T = TypeVar("_T")


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

    rows: int
    audience: int
    """People of the campaign, the suppressed ones among them."""
    suppressed: int
    rejected: Mapping[RejectReason, int]
    seconds: float
    size_bytes: int

    @property
    def rows_per_s(self) -> float:
        return self.rows / self.seconds


async def fill(
    database: Database,
    campaign_id: CampaignId,
    audience: Audience,
    *,
    phone_column: str | None,
    columns: Sequence[str],
    default_region: str | None,
    required: Sequence[str] | None = None,
    check: Check | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> ImportReport:
    """Import a file into a draft without people; in the ledger, messages stand in the order of the file's chunks.

    phone_column: None finds it by name. columns: those the campaign carries, in its order.
    required, check: see `Sieve`. progress: called after each chunk, on the event loop.
    Raises BadValue when the file or an argument is at fault, or when nobody of the file could be reached;
    Conflict when the campaign is no empty draft, or is being filled by somebody else; NotFound.
    After any of these, and after any other exception, the ledger is as it was before.
    Cost: one round trip per chunk, three if duplicates may be in it; 16 MB.
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
    async with database.transaction() as connection:
        await _lock(connection, campaign_id, columns)
        tally = _Tally()
        async with aclosing(_ahead(_batches(audience, sieve, campaign_id))) as batches:
            async for batch in batches:
                await _store(connection, campaign_id, batch, tally)
                if progress is not None:
                    progress(
                        Progress(
                            tally.rows, tally.rejected.total(), audience.position_bytes, audience.size_bytes
                        )
                    )
        if not tally.people:
            raise tally.nobody_left()
        suppressed = await _finish(connection, campaign_id, tally)
    return ImportReport(
        rows=tally.rows,
        audience=tally.people,
        suppressed=suppressed,
        rejected=dict(tally.rejected.most_common()),
        seconds=clock() - started,
        size_bytes=audience.size_bytes,
    )


async def _lock(connection: Connection, campaign_id: CampaignId, columns: Sequence[str]) -> None:
    try:
        row = await connection.fetchrow(SQL["lock_campaign"], campaign_id)
    except asyncpg.LockNotAvailableError:
        raise Conflict(
            f"campaign {campaign_id} is being changed by somebody else; nothing was imported",
            hint="an import may be running already; try again when it has ended",
        ) from None
    if row is None:
        raise NotFound(f"there is no campaign {campaign_id}; nothing was imported")
    if row["state"] != CampaignState.DRAFT or row["is_filled"]:
        what = "has its people already" if row["is_filled"] else f"is {row['state']}, not a draft"
        raise Conflict(
            f"campaign {campaign_id} {what}; nothing was imported",
            hint="create another campaign for this file",
        )
    if row["columns"] != list(columns):
        raise BadValue(
            f"campaign {campaign_id} carries the columns {row['columns']}, not {list(columns)}; nothing was imported"
        )


@dataclass(frozen=True, slots=True)
class _Batch:
    """A chunk, judged, and made ready for the wire by the reading thread."""

    new: bytes
    """Lines of COPY: people who are in no earlier line."""
    doubtful: Sequence[Person]
    """People who may be."""
    rejected: Sequence[Rejected]


class _Tally:
    """What has been written so far."""

    def __init__(self) -> None:
        self.people = 0
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


async def _store(connection: Connection, campaign_id: CampaignId, batch: _Batch, tally: _Tally) -> None:
    if batch.new:
        status = await connection.copy_to_table(
            "messages", source=once(batch.new), columns=_MESSAGE_COLUMNS, format="text"
        )
        tally.people += _count(status)
    rejected = list(batch.rejected)
    if batch.doubtful:
        added = await connection.fetch(
            SQL["add_doubtful"],
            campaign_id,
            [person.line for person in batch.doubtful],
            [person.e164 for person in batch.doubtful],
            [person.key for person in batch.doubtful],
            [array(person.values) for person in batch.doubtful],
        )
        tally.people += len(added)
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


async def _finish(connection: Connection, campaign_id: CampaignId, tally: _Tally) -> int:
    """Complete the duplicates, apply the suppression list, write the counters. Returns how many are suppressed."""
    if tally.rows >= ANALYZE_FROM_ROWS:
        await connection.execute(SQL["analyze"], timeout=_STATEMENT_TIMEOUT_S)
    if RejectReason.DUPLICATE in tally.rejected:
        await connection.execute(SQL["name_first_lines"], campaign_id, timeout=_STATEMENT_TIMEOUT_S)
    if former := await connection.fetchval(
        SQL["reject_former_numbers"], campaign_id, timeout=_STATEMENT_TIMEOUT_S
    ):
        tally.people -= former
        tally.rejected[RejectReason.DUPLICATE] += former
    suppressed = _count(await connection.execute(SQL["suppress"], campaign_id, timeout=_STATEMENT_TIMEOUT_S))
    await connection.execute(SQL["finish"], campaign_id, tally.people, suppressed, tally.rejected.total())
    return suppressed


def _count(status: str) -> int:
    """From a command's tag, such as "INSERT 0 12"."""
    return int(status.rpartition(" ")[2])


async def _ahead(items: Iterator[_T]) -> AsyncGenerator[_T, None]:
    """The items of a blocking iterator, each made in a thread while the one before is used."""
    loop = asyncio.get_running_loop()
    coming = loop.run_in_executor(None, next, items, None)
    try:
        while (item := await asyncio.shield(coming)) is not None:
            coming = loop.run_in_executor(None, next, items, None)
            yield item
    finally:
        # why: whoever is left early closes the file next, and the thread may still be reading.
        await asyncio.gather(coming, return_exceptions=True)


def _batches(audience: Audience, sieve: Sieve, campaign_id: CampaignId) -> Iterator[_Batch]:
    seen = _Seen()
    for rows in audience.chunks():
        people, rejected = sieve.sift(rows)
        new: list[str] = []
        doubtful = []
        for person in people:
            if seen.has(person.key):
                doubtful.append(person)
            else:
                line, e164, key, values = person
                new.append(f"{campaign_id}\t{line}\t{e164}\t{key}\t{escaped(array(values))}\n")
        yield _Batch("".join(new).encode(), doubtful, rejected)


class _Seen:
    """Whether a key came before: False is certain, True is a matter of doubt (one in 135 after a million keys)."""

    _BITS = 2**27

    def __init__(self) -> None:
        self._bytes = bytearray(self._BITS // 8)

    def has(self, key: str) -> bool:
        """Asks, and remembers the key."""
        place, bit = divmod(hash(key) % self._BITS, 8)
        byte = self._bytes[place]
        self._bytes[place] = byte | 1 << bit
        return bool(byte >> bit & 1)
