"""The fence in the ledger: where it was confirmed to be, where it is, and the order that makes the two one.

What the place is made of is explained in `domain/fence.py`. Each turn and each claim compares it by itself, in
`sql/turns.sql`; here are the first look, the question and the operator's answer.
"""

from __future__ import annotations

from collections.abc import Mapping

from dispatcher.domain.audit import Order
from dispatcher.domain.errors import Conflict
from dispatcher.domain.fence import Confirmed, Fence, Place, PlacePart
from dispatcher.domain.ids import CampaignId, LaneId
from dispatcher.domain.turn import DueLane
from dispatcher.ledger.audit import note
from dispatcher.ledger.database import Database
from dispatcher.ledger.queries import load

SQL = load("fence")

GAP = 1_000_000_000
"""Numbers of turns, messages, replies, lanes and pulses that are left out: more than are used up between a backup and its return."""


class LedgerFence:
    """The port `FenceBook` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def learn(self) -> None:
        """The first to open a ledger confirms its place; later ones add what they can read beyond it."""
        await self._db.execute(SQL["learn"])

    async def state(self) -> Fence:
        """Where it was confirmed to be, and where it is."""
        row = await self._db.fetchrow(SQL["state"])
        assert row is not None
        return Fence(
            instance=row["id"],
            epoch=row["epoch"],
            confirmed=_place(row["confirmed"], row["remembered"]),
            here=_place(row["here"], row["pulse"]),
            moved=[PlacePart(part) for part in row["moved"]],
            confirmed_at=row["confirmed_at"],
        )

    async def beat(self, remembered: int) -> int | None:
        """Count the pulse up, unless Redis remembers a higher one or the ledger was moved. Returns it."""
        await self.recall(remembered)
        pulse: int | None = await self._db.fetchval(SQL["beat"])
        return pulse

    async def recall(self, remembered: int) -> None:
        """Redis remembers this pulse; the fence goes up where it is more than the ledger's own."""
        await self._db.execute(SQL["recall"], remembered)

    async def confirm(self, seen_epoch: int, *, because: str | None) -> Confirmed:
        """Take the present place as the right one, all in one transaction. Raises Conflict when somebody else just did.

        because: why running campaigns are paused, and what was claimed is unsure; None where nothing was lost.
        """
        async with self._db.transaction() as connection:
            epoch = await connection.fetchval(SQL["confirm"], seen_epoch, GAP)
            if epoch is None:
                raise Conflict(
                    "the place was confirmed by somebody else meanwhile; nothing was changed",
                    hint="`dispatch fence show` tells how it stands",
                )
            await connection.execute(SQL["skip_numbers"], GAP)
            paused, unsure = [], 0
            if because is not None:
                paused = await connection.fetch(SQL["pause_running"], because)
                unsure = int(await connection.fetchval(SQL["doubt_claims"]))
                unsure += int(await connection.fetchval(SQL["doubt_replies"]))
            lanes = await connection.fetch(SQL["call_lanes"])
            was, now = {"epoch": seen_epoch}, {"epoch": epoch, "paused": len(paused), "unsure": unsure}
            await note(connection, Order.FENCE_CONFIRMED, "ledger", before=was, after=now)
        return Confirmed(
            epoch=epoch,
            paused=sorted(CampaignId(row["id"]) for row in paused),
            unsure=unsure,
            lanes=[DueLane(LaneId(row["id"]), row["generation"]) for row in lanes],
        )


def _place(parts: Mapping[str, str], pulse: int) -> Place:
    return {**{PlacePart(part): value for part, value in parts.items()}, PlacePart.HISTORY: str(pulse)}
