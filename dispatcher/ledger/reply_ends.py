"""How replies end where their turn could not say it: by what Meta reports, by an operator, by policy.

Receipts call in here from `receipts.py`, within the transaction of their batch. The statements are in
`sql/reply_ends.sql`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from dispatcher.domain.audit import Order
from dispatcher.domain.campaign import UnsurePolicy
from dispatcher.domain.ids import REPLIES, MessageId, SenderId
from dispatcher.domain.message import MessageState, Outcome
from dispatcher.domain.receipt import AttemptRef, FailedAttempt
from dispatcher.domain.report import UnsureView
from dispatcher.ledger.audit import note, some
from dispatcher.ledger.database import Session
from dispatcher.ledger.queries import load
from dispatcher.ledger.rows import Row, sender_of

SQL = load("reply_ends")


class LedgerReplyEnds:
    """The port `UnsureReplyBook`, and the replies' part of `ReceiptBook`, on PostgreSQL."""

    def __init__(self, session: Session) -> None:
        self._db = session

    # what Meta reports

    async def settle_by_receipt(self, replies: Sequence[MessageId]) -> None:
        """Whatever a receipt shows to be with Meta becomes accepted."""
        await self._db.execute(SQL["settle_by_receipt"], replies)

    async def failures(self, refs: Sequence[AttemptRef]) -> Sequence[FailedAttempt]:
        """Of these attempts those that failed and whose consequences nobody has drawn yet; each is told once."""
        rows = await self._db.fetch(
            SQL["failures"], [ref.message_id for ref in refs], [ref.attempt for ref in refs]
        )
        return [
            FailedAttempt(
                ref=AttemptRef(REPLIES, row["message_id"], row["attempt"]),
                code=row["code"],
                detail=row["detail"] or "",
                sender=sender_of(row["sender"]),
                template="",
                language="",
                person=row["person"],
                key=row["person_key"],
                failed_before=row["failed_before"],
                may_reopen=row["may_reopen"],
                deadline=row["window_ends_at"],
            )
            for row in rows
        ]

    async def reopen(self, ref: AttemptRef, outcome: Outcome) -> None:
        """Another attempt, unless a later reply of the conversation has gone; the failed one stays on record."""
        async with self._db.transaction() as connection:
            await connection.execute(SQL["lock_followers"], ref.message_id)
            await connection.execute(
                SQL["reopen"],
                ref.message_id,
                ref.attempt,
                outcome.not_before,
                outcome.reason,
                outcome.code,
                outcome.detail,
            )

    async def unsure_with_receipt(self, most: int) -> Sequence[AttemptRef]:
        """Unsure attempts of which a report has come, while their turn still had them."""
        rows = await self._db.fetch(SQL["unsure_with_receipt"], most)
        return [AttemptRef(REPLIES, MessageId(row["id"]), row["attempt"]) for row in rows]

    # operators and policies

    async def list(
        self,
        replies: Sequence[MessageId] | None,
        most: int,
        grace: timedelta,
        after: MessageId | None = None,
    ) -> tuple[int, Sequence[UnsureView]]:
        """How many there are in all, and the first of them after this one, or of those that are named."""
        rows = await self._db.fetch(SQL["unsure"], replies, most, grace, after)
        return int(await self._db.fetchval(SQL["count_unsure"])), [_view_of(row) for row in rows]

    async def due(
        self, grace: timedelta, most: int, resends: int
    ) -> tuple[Sequence[MessageId], Sequence[MessageId]]:
        """Those that their policies decide on now: to be given up, to be posted again."""
        rows = await self._db.fetch(SQL["due"], grace, most, resends)
        return [row["id"] for row in rows if not row["is_resent"]], [
            row["id"] for row in rows if row["is_resent"]
        ]

    async def settle(self, replies: Sequence[MessageId], to: MessageState, reason: str) -> Sequence[SenderId]:
        """End them as accepted or refused. Returns the sender of each that was still unsure."""
        async with self._db.transaction() as connection:
            rows = await connection.fetch(SQL["settle"], replies, to, reason)
            what = {"state": to, "replies": some(replies, len(rows))}
            await note(connection, Order.UNSURE_SETTLED, "replies", after=what)
        return [row["sender_id"] for row in rows]

    async def release(self, replies: Sequence[MessageId]) -> Sequence[SenderId]:
        """Have them posted again. Returns the sender of each that was still unsure."""
        async with self._db.transaction() as connection:
            rows = await connection.fetch(SQL["release"], replies)
            what = {"replies": some(replies, len(rows))}
            await note(connection, Order.UNSURE_RELEASED, "replies", after=what)
        return [row["sender_id"] for row in rows]


def _view_of(row: Row) -> UnsureView:
    return UnsureView(
        ref=AttemptRef(REPLIES, MessageId(row["id"]), row["attempt"]),
        campaign="",
        person=row["person"],
        sender=row["sender"],
        posted_at=row["posted_at"],
        reason=row["reason"] or "",
        code=row["code"],
        detail=row["detail"] or "",
        policy=UnsurePolicy(row["unsure_policy"]),
        decides_at=row["decides_at"],
    )
