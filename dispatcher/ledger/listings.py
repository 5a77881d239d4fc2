"""Pages of campaigns, messages and whatever else there may be much of. The statements are in `sql/listings.sql`.

Invariant: a page costs what it shows, not what there is; no statement reads a whole campaign.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from dispatcher.domain.campaign import Campaign, CampaignState, Counts
from dispatcher.domain.ids import CampaignId, MessageId, PersonKey
from dispatcher.domain.listing import MessageLine, Page, PutAsideLine, RejectedLine, Upload
from dispatcher.domain.message import MessageState
from dispatcher.domain.receipt import ReceiptState
from dispatcher.domain.report import Suppressed, UnsureView
from dispatcher.ledger.database import Connection, Database
from dispatcher.ledger.queries import load
from dispatcher.ledger.rows import Row, campaign_of, unsure_of

SQL = load("listings")

LOOK_MOST = 5_000
"""Messages that one page looks at, where it wants those of one state only; some milliseconds."""

_COUNTS = tuple(Counts.__dataclass_fields__)


class LedgerListings:
    """The port `Listings` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def campaigns(
        self, before: CampaignId | None, limit: int, state: CampaignState | None = None
    ) -> Page[tuple[Campaign, Counts], CampaignId]:
        """The newest first, with their counts; those before this one. Single messages are left out."""
        rows = await self._db.fetch(SQL["campaigns"], before, limit + 1, state)
        items = [
            (campaign_of(row["campaign"], row["sender_ids"]), Counts(**{name: row[name] for name in _COUNTS}))
            for row in rows[:limit]
        ]
        return Page(items, items[-1][0].id if len(rows) > limit else None)

    async def uploads(self, campaign_id: CampaignId) -> Sequence[Upload]:
        """All imports into a campaign, in order."""
        return [Upload(**row) for row in await self._db.fetch(SQL["uploads"], campaign_id)]

    async def messages(
        self, campaign_id: CampaignId, after: MessageId, limit: int, state: MessageState | None = None
    ) -> Page[MessageLine, MessageId]:
        """A campaign's messages after this one, of one state or of all.

        A page may be short, or empty, and say all the same where to go on: it looks at `LOOK_MOST` messages at most.
        """
        look = limit if state is None else max(limit, LOOK_MOST)
        rows = await self._db.fetch(SQL["messages"], campaign_id, after, state, limit, look)
        items = [_line_of(row) for row in rows]
        if len(items) == limit:
            return Page(items, items[-1].id)
        if rows:
            return Page(items, MessageId(rows[0]["last_id"]) if rows[0]["has_more"] else None)
        end = await self._db.fetchval(SQL["look_ends"], campaign_id, after, look)
        return Page([], None if end is None else MessageId(end))

    async def rejected(self, campaign_id: CampaignId, after_line: int, limit: int) -> Page[RejectedLine, int]:
        """A campaign's rejected rows after this line of all its uploads."""
        rows = await self._db.fetch(SQL["rejected"], campaign_id, after_line, limit + 1)
        items = [RejectedLine(**row) for row in rows[:limit]]
        return Page(items, items[-1].campaign_line if len(rows) > limit else None)

    async def suppressions(self, after: PersonKey, limit: int) -> Page[Suppressed, PersonKey]:
        """The suppression list by person, after this one."""
        rows = await self._db.fetch(SQL["suppressions"], after, limit + 1)
        items = [
            Suppressed(row["person"], row["reason"], row["source"], row["at"], row["until"])
            for row in rows[:limit]
        ]
        return Page(items, PersonKey(rows[limit - 1]["person_key"]) if len(rows) > limit else None)

    async def unsure(
        self, after: tuple[CampaignId, MessageId], limit: int, grace: timedelta
    ) -> Page[UnsureView, tuple[CampaignId, MessageId]]:
        """Unsure messages by campaign and message, after this one. grace: after which policies decide."""
        rows = await self._db.fetch(SQL["unsure"], *after, limit + 1, grace)
        items = [unsure_of(row) for row in rows[:limit]]
        last = items[-1].ref if len(rows) > limit else None
        return Page(items, None if last is None else (last.campaign_id, last.message_id))

    async def quarantine(self, before: int | None, limit: int) -> Page[PutAsideLine, int]:
        """What is in quarantine, the newest first; those before this one."""
        rows = await self._db.fetch(SQL["quarantine"], before, limit + 1)
        items = [PutAsideLine(**row) for row in rows[:limit]]
        return Page(items, items[-1].id if len(rows) > limit else None)


async def plan_anew(connection: Connection) -> None:
    """Have the statements that follow in this transaction planned for their arguments."""
    await connection.execute(SQL["plan_anew"])


def _line_of(row: Row) -> MessageLine:
    return MessageLine(
        id=MessageId(row["id"]),
        person=row["person"],
        state=MessageState(row["state"]),
        reason=row["reason"],
        code=row["code"],
        detail=row["detail"],
        sender=row["sender"],
        attempt=row["attempt"],
        not_before=row["not_before"],
        posted_at=row["posted_at"],
        wamid=row["wamid"],
        receipt=ReceiptState(row["receipt"]) if row["receipt"] else None,
        delivered_at=row["delivered_at"],
        read_at=row["read_at"],
        receipt_code=row["receipt_code"],
        upload=row["upload"],
        line=row["line"],
    )
