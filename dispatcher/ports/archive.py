"""What leaving old campaigns behind needs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol

from dispatcher.domain.archive import KeptBecause, Partition


class ArchiveBook(Protocol):
    """Partitions of messages and receipts, and what else grows with time."""

    async def prepare(self, stretch: timedelta) -> bool:
        """Begin the next partition when the present one is so old, and have one more ready; one step at a time.

        False: others were in the way, and nothing was changed.
        """
        ...

    async def partitions(self) -> Sequence[Partition]:
        """Those in which no new campaign begins, the oldest first."""
        ...

    async def drop(self, partition: Partition, keep: timedelta) -> Sequence[KeptBecause]:
        """Drop the messages and receipts of its campaigns, if nothing keeps them now; all or nothing.

        What reports need is written down first, and proved from the messages. Returns what keeps them; empty: they are gone.
        """
        ...

    async def clear(self, most: int) -> int:
        """Delete what else the dropped campaigns had: earlier attempts, rejected rows; `most` rows at most. Returns how many."""
        ...

    async def forget(self, news: timedelta, audit: timedelta, most: int) -> int:
        """Delete news of accounts and entries of the audit log that are older than that; `most` rows of each at most."""
        ...
