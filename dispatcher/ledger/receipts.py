"""Receipts in the ledger: booked to their attempts, and what follows for messages.

Everything runs on the session it was made with, so that a whole batch of webhooks is one transaction.
The statements are in `sql/receipts.sql`; what a failure means is decided by the engine, and what follows for replies is in
`reply_ends.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dispatcher.domain.ids import REPLIES, CampaignId, MessageId, PersonKey
from dispatcher.domain.message import Outcome
from dispatcher.domain.receipt import AttemptRef, Booked, FailedAttempt, Receipt
from dispatcher.domain.webhook import AccountNews
from dispatcher.ledger.database import Session
from dispatcher.ledger.partitions import by_partition, within
from dispatcher.ledger.queries import load
from dispatcher.ledger.reply_ends import LedgerReplyEnds
from dispatcher.ledger.rows import sender_of

SQL = load("receipts")


class LedgerReceipts:
    """The port `ReceiptBook` on PostgreSQL."""

    def __init__(self, session: Session) -> None:
        self._db = session
        self._replies = LedgerReplyEnds(session)

    async def attempts_of(self, wamids: Mapping[str, PersonKey | None]) -> Mapping[str, AttemptRef]:
        """Which attempts Meta's ids stand for, each told with its person where known; ids that are not ours are left out."""
        rows = await self._db.fetch(SQL["by_wamid"], list(wamids), list(wamids.values()))
        return {
            row["wamid"]: AttemptRef(row["campaign_id"], row["message_id"], row["attempt"]) for row in rows
        }

    async def book(self, reports: Mapping[AttemptRef, tuple[str, Receipt]]) -> Booked:
        """Merge reports into their attempts: attempt → Meta's id, receipt."""
        if not reports:
            return Booked(frozenset(), frozenset(), frozenset())
        apart = await by_partition(self._db, reports)
        unknown, unsettled = set(), set()
        if sum(map(len, apart.values())) < len(reports):
            unknown = set(reports).difference(*apart.values())
        for partition, refs in apart.items():
            told = ((*ref, wamid, *receipt) for ref in refs for wamid, receipt in (reports[ref],))
            columns = map(list, zip(*told, strict=True))
            for row in await self._db.fetch(within(SQL["book"], partition), *columns):
                ref = AttemptRef(row["campaign_id"], row["message_id"], row["attempt"])
                match row["message_state"]:
                    case None:
                        unknown.add(ref)
                    case "accepted":
                        pass
                    case _:
                        unsettled.add(ref)
        archived: set[AttemptRef] = set()
        if unknown:
            rows = await self._db.fetch(SQL["archived"], list({ref.campaign_id for ref in unknown}))
            campaigns = {row["id"] for row in rows}
            archived = {ref for ref in unknown if ref.campaign_id in campaigns}
        failed = {ref for ref, (_, receipt) in reports.items() if receipt.failed_at is not None}
        return Booked(
            unknown=frozenset(unknown - archived),
            unsettled=frozenset(unsettled),
            failed=frozenset(failed - unknown),
            archived=frozenset(archived),
        )

    async def settle(self, refs: Sequence[AttemptRef]) -> Mapping[CampaignId, int]:
        """Whatever a receipt shows to be with Meta becomes accepted.

        Returns campaign → how many of those were waiting to be posted; perhaps nobody is left there now.
        """
        refs, replies = _apart(refs)
        if replies:
            await self._replies.settle_by_receipt([ref.message_id for ref in replies])
        await self._lock_lanes(refs)
        waiting = {}
        for partition, those in (await by_partition(self._db, refs)).items():
            columns = [ref.campaign_id for ref in those], [ref.message_id for ref in those]
            for row in await self._db.fetch(within(SQL["settle_by_receipt"], partition), *columns):
                waiting[CampaignId(row["campaign_id"])] = row["were_pending"]
        return waiting

    async def failures(self, refs: Sequence[AttemptRef]) -> Sequence[FailedAttempt]:
        """Of these attempts those that failed and whose consequences nobody has drawn yet; each is told once."""
        refs, replies = _apart(refs)
        failed = [*await self._replies.failures(replies)] if replies else []
        if not refs:
            return failed
        rows = [
            row
            for partition, those in (await by_partition(self._db, refs)).items()
            for row in await self._db.fetch(
                within(SQL["failures"], partition), *map(list, zip(*those, strict=True))
            )
        ]
        return failed + [
            FailedAttempt(
                ref=AttemptRef(row["campaign_id"], row["message_id"], row["attempt"]),
                code=row["code"],
                detail=row["detail"] or "",
                sender=sender_of(row["sender"]),
                template=row["template"],
                language=row["language"],
                person=row["person"],
                key=row["person_key"],
                failed_before=row["failed_before"],
                may_reopen=row["may_reopen"],
                deadline=row["deadline"],
            )
            for row in rows
        ]

    async def reopen(self, again: Sequence[tuple[AttemptRef, Outcome]]) -> None:
        """Another attempt for each, not before its outcome's time; the failed one stays on record."""
        for ref, outcome in again:
            if ref.campaign_id == REPLIES:
                await self._replies.reopen(ref, outcome)
        again = [(ref, outcome) for ref, outcome in again if ref.campaign_id != REPLIES]
        refs = [ref for ref, _ in again]
        await self._db.execute(SQL["revive_campaigns"], [ref.campaign_id for ref in refs])
        await self._lock_lanes(refs)
        places = {
            ref: place for place, those in (await by_partition(self._db, refs)).items() for ref in those
        }
        for ref, outcome in again:
            reopen = within(SQL["reopen"], places[ref])
            await self._db.execute(
                reopen, *ref, outcome.not_before, outcome.reason, outcome.code, outcome.detail
            )
            await self._db.execute(SQL["call_lanes"], ref.campaign_id, outcome.not_before)

    async def call_lanes(self, campaign_id: CampaignId) -> None:
        """Idle lanes of a campaign are due now."""
        await self._db.execute(SQL["call_lanes"], campaign_id, None)

    async def known_numbers(self, phone_number_ids: Sequence[str]) -> frozenset[str]:
        """Which of these belong to senders that we know."""
        rows = await self._db.fetch(SQL["known_numbers"], phone_number_ids)
        return frozenset(row["phone_number_id"] for row in rows)

    async def keep_account_news(self, news: Sequence[AccountNews]) -> frozenset[str]:
        """Store news of accounts, each piece once. Returns the keys of those that are new."""
        columns = [(n.key, n.waba_id, n.field, n.value, n.at) for n in {n.key: n for n in news}.values()]
        rows = await self._db.fetch(SQL["keep_account_news"], *map(list, zip(*columns, strict=True)))
        return frozenset(row["key"] for row in rows)

    async def unsure_with_receipt(self, most: int) -> Sequence[AttemptRef]:
        """Unsure attempts of which a report has come, while their turn still had them."""
        rows = await self._db.fetch(SQL["unsure_with_receipt"], most)
        refs = [AttemptRef(row["campaign_id"], MessageId(row["message_id"]), row["attempt"]) for row in rows]
        return [*refs, *await self._replies.unsure_with_receipt(most)]

    async def _lock_lanes(self, refs: Sequence[AttemptRef]) -> None:
        await self._db.execute(SQL["lock_lanes"], list({ref.campaign_id for ref in refs}))


def _apart(refs: Sequence[AttemptRef]) -> tuple[Sequence[AttemptRef], Sequence[AttemptRef]]:
    """Attempts of messages, attempts of replies."""
    replies = [ref for ref in refs if ref.campaign_id == REPLIES]
    return ([ref for ref in refs if ref.campaign_id != REPLIES], replies) if replies else (refs, ())
