"""Unsure messages in the ledger: listed, settled, released.

The statements are in `sql/unsure.sql`; receipts settle unsure messages elsewhere, as they come (`receipts.py`).
Invariant: whatever ends an unsure message is a compare-and-set on that state, so that a receipt and an operator cannot
both have it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any

from dispatcher.domain.audit import Order
from dispatcher.domain.ids import CampaignId, MessageId
from dispatcher.domain.message import MessageState
from dispatcher.domain.receipt import AttemptRef
from dispatcher.domain.report import UnsureView
from dispatcher.ledger.audit import note, some
from dispatcher.ledger.database import Connection, Database
from dispatcher.ledger.partitions import by_partition, within
from dispatcher.ledger.queries import load
from dispatcher.ledger.rows import attempt_of, unsure_of

SQL = load("unsure")
RECEIPTS = load("receipts")


class LedgerUnsure:
    """The port `UnsureBook` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def list(
        self, campaign_id: CampaignId | None, most: int, grace: timedelta
    ) -> tuple[int, Sequence[UnsureView]]:
        """How many there are, and the first of them. grace: after which policies decide."""
        rows = await self._db.fetch(SQL["list"], campaign_id, most, grace)
        return int(await self._db.fetchval(SQL["count"], campaign_id)), [unsure_of(row) for row in rows]

    async def of_campaign(
        self, campaign_id: CampaignId, messages: Sequence[MessageId] | None, most: int
    ) -> Sequence[AttemptRef]:
        """The campaign's unsure messages, at most so many; only these of them, unless None."""
        return [
            attempt_of(row) for row in await self._db.fetch(SQL["of_campaign"], campaign_id, messages, most)
        ]

    async def due(
        self, grace: timedelta, most: int, resends: int
    ) -> tuple[Sequence[AttemptRef], Sequence[AttemptRef]]:
        """Those that the campaigns' policies decide on now: to be given up, to be posted again."""
        rows = await self._db.fetch(SQL["due"], grace, most, resends)
        return [attempt_of(row) for row in rows if not row["is_resent"]], [
            attempt_of(row) for row in rows if row["is_resent"]
        ]

    async def settle(self, refs: Sequence[AttemptRef], to: MessageState, reason: str) -> int:
        """End them as accepted or refused. Returns how many were still unsure."""
        async with self._db.transaction() as connection:
            await _lock_lanes(connection, refs)
            settled = 0
            for partition, those in (await by_partition(connection, refs)).items():
                settle = within(SQL["settle"], partition)
                settled += int(await connection.fetchval(settle, *_columns(those), to, reason))
            await note(
                connection, Order.UNSURE_SETTLED, _subject(refs), after={"state": to, **_named(refs, settled)}
            )
        return settled

    async def release(self, refs: Sequence[AttemptRef]) -> int:
        """Have them posted again; those of cancelled campaigns stay. Returns how many were still unsure."""
        async with self._db.transaction() as connection:
            await connection.execute(RECEIPTS["revive_campaigns"], list({ref.campaign_id for ref in refs}))
            await _lock_lanes(connection, refs)
            rows = [
                row
                for partition, those in (await by_partition(connection, refs)).items()
                for row in await connection.fetch(within(SQL["release"], partition), *_columns(those))
            ]
            for row in rows:
                await connection.execute(RECEIPTS["call_lanes"], row["campaign_id"], None)
            released = int(sum(row["released"] for row in rows))
            await note(connection, Order.UNSURE_RELEASED, _subject(refs), after=_named(refs, released))
        return released


def _subject(refs: Sequence[AttemptRef]) -> str:
    return ", ".join(f"campaign {campaign_id}" for campaign_id in sorted({ref.campaign_id for ref in refs}))


def _named(refs: Sequence[AttemptRef], number: int) -> Mapping[str, Any]:
    return {"messages": some([ref.message_id for ref in refs], number)}


async def _lock_lanes(connection: Connection, refs: Sequence[AttemptRef]) -> None:
    await connection.execute(RECEIPTS["lock_lanes"], list({ref.campaign_id for ref in refs}))


def _columns(refs: Collection[AttemptRef]) -> tuple[Sequence[int], Sequence[int]]:
    return [ref.campaign_id for ref in refs], [ref.message_id for ref in refs]
