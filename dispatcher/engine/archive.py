"""Leaving old campaigns behind, by the clock and by order.

Upkeep does a bounded piece per round, so that nothing else waits; an operator's order does all at once.
Nothing is dropped unless somebody says after how long, and never before everything that may still come has come.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from dispatcher.domain.archive import Keeping, KeptBecause, Partition
from dispatcher.ports import ArchiveBook, Clock, Telemetry

ROWS_PER_ROUND = 20_000
"""Deleted in one statement: some tenths of a second."""

Verdict = tuple[Partition, Sequence[KeptBecause]]


@dataclass(frozen=True, slots=True)
class Archive:
    """The engine's door for what is old."""

    book: ArchiveBook
    clock: Clock
    telemetry: Telemetry
    keeping: Keeping

    async def keep_going(self) -> None:
        """Each minute: prepare the next partition, delete some of what is left of those that were dropped, and old news."""
        await self.book.prepare(self.keeping.stretch)
        await self.book.clear(ROWS_PER_ROUND)
        await self.book.forget(self.keeping.news, self.keeping.audit, ROWS_PER_ROUND)

    async def drop_old(self) -> None:
        """Each hour, for it counts campaigns: drop what may go, where somebody has said how long people are kept."""
        keep = self.keeping.people
        if keep is not None:
            for partition, kept in await self.look(keep):
                if not kept:
                    await self.drop(partition, keep)

    async def look(self, keep: timedelta) -> Sequence[Verdict]:
        """All partitions in which no campaign begins any more, each with what keeps it; the oldest first."""
        now = self.clock.now()
        return [(partition, partition.kept_because(keep, now)) for partition in await self.book.partitions()]

    async def drop(self, partition: Partition, keep: timedelta) -> Sequence[KeptBecause]:
        """Drop a partition, if nothing keeps it. Returns what does."""
        kept = await self.book.drop(partition, keep)
        if kept:
            self.telemetry.kept(partition, kept)
        else:
            self.telemetry.dropped(partition)
        return kept

    async def drop_all(self, keep: timedelta) -> Sequence[Verdict]:
        """Drop whatever may go, and all that is left of it. Returns all there were, with what keeps each; empty: it is gone."""
        verdicts = [
            (partition, kept or await self.drop(partition, keep)) for partition, kept in await self.look(keep)
        ]
        while await self.book.clear(ROWS_PER_ROUND):
            pass
        return verdicts
