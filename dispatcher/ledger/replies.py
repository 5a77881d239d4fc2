"""Replies in the ledger, as they are ordered and asked for.

A reply is stored at the end of its conversation in one statement, which looks at the window by the ledger's own clock.
The statements are in `sql/replies.sql`.
"""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg

from dispatcher.domain.audit import Order
from dispatcher.domain.campaign import UnsurePolicy
from dispatcher.domain.errors import Busy, NotFound
from dispatcher.domain.hold import Hold
from dispatcher.domain.ids import REPLIES, ConversationId, MessageId, PersonKey, SenderId
from dispatcher.domain.listing import Page
from dispatcher.domain.message import MessageState
from dispatcher.domain.queued_reply import Addressee, KnownReply, ReplyDraft, ReplyView
from dispatcher.domain.report import Fault
from dispatcher.domain.sender import Sender
from dispatcher.ledger.audit import note
from dispatcher.ledger.database import Session
from dispatcher.ledger.listings import plan_anew
from dispatcher.ledger.queries import load
from dispatcher.ledger.rows import Row, attempt_view_of, hold_of, receipt_view_of, sender_of

SQL = load("replies")
LOOK_MOST = 5_000
"""Replies that one page looks at, where it wants those of one state only."""
HISTORY = load("campaigns")
"""Attempts and receipts stand where those of messages stand."""


class LedgerReplies:
    """The port `ReplyBook` on PostgreSQL."""

    def __init__(self, session: Session) -> None:
        self._db = session

    async def addressee(self, sender: Sender, key: PersonKey | None, user_id: str | None) -> Addressee | None:
        """A person who is known by a key or a user id."""
        # why both: whose number is not known has the user id as key.
        row = await self._db.fetchrow(SQL["addressee"], sender.id, key or user_id, user_id)
        return None if row is None else Addressee(**row)

    async def queue(self, draft: ReplyDraft) -> tuple[MessageId, int] | None:
        """Store it at the end of its conversation; None where the window is closed or the key is known.

        Raises Busy within a transaction that waits for others only so long.
        """
        columns = draft.conversation_id, draft.content, draft.context_wamid, draft.key, draft.unsure_policy
        try:
            async with self._db.transaction() as connection:
                row = await connection.fetchrow(SQL["queue"], *columns)
                if row is None:
                    return None
                told = {"conversation": draft.conversation_id, "kind": draft.content.get("type")}
                await note(connection, Order.REPLY_QUEUED, f"reply {row['id']}", after=told)
        except asyncpg.LockNotAvailableError:
            raise Busy(
                f"another reply of conversation {draft.conversation_id} is being queued; nothing was queued",
                hint="come again in some seconds",
            ) from None
        return MessageId(row["id"]), row["position"]

    async def by_key(self, sender: Sender, key: str) -> KnownReply | None:
        """The reply that was queued under a key."""
        row = await self._db.fetchrow(SQL["by_key"], sender.id, key)
        return None if row is None else KnownReply(**row)

    async def view(self, reply_id: MessageId) -> ReplyView:
        """One reply with its history. Raises NotFound."""
        row = await self._db.fetchrow(SQL["views"], [reply_id])
        if row is None:
            raise NotFound(f"there is no reply {reply_id}", hint="`dispatch replies list` names them")
        attempts = await self._db.fetch(HISTORY["attempts_of_message"], REPLIES, reply_id)
        receipts = await self._db.fetch(HISTORY["receipts_of_message"], REPLIES, reply_id)
        return _view_of(row, attempts, receipts)

    async def recent(
        self,
        most: int,
        *,
        sender: SenderId | None = None,
        conversation: ConversationId | None = None,
        state: MessageState | None = None,
    ) -> Sequence[ReplyView]:
        """The newest first."""
        ids = await self._db.fetchval(SQL["recent"], sender, conversation, state, most)
        return [_view_of(row) for row in await self._db.fetch(SQL["views"], ids)]

    async def page(
        self,
        before: MessageId | None,
        limit: int,
        *,
        sender: SenderId | None = None,
        conversation: ConversationId | None = None,
        state: MessageState | None = None,
    ) -> Page[ReplyView, MessageId]:
        """The newest first; those before this one.

        A page of one state may be short, or empty, and say all the same where to go on: it looks at `LOOK_MOST` replies at
        most.
        """
        look = limit + 1 if state is None else max(limit + 1, LOOK_MOST)
        async with self._db.transaction() as connection:
            await plan_anew(connection)
            row = await connection.fetchrow(SQL["page"], sender, conversation, state, limit + 1, before, look)
        assert row is not None
        shown = row["ids"][:limit]
        views = [_view_of(each) for each in await self._db.fetch(SQL["views"], shown)]
        if len(row["ids"]) > limit:
            return Page(views, MessageId(shown[-1]))
        return Page(views, MessageId(row["last_id"]) if row["has_more"] else None)

    async def cancel(self, reply_id: MessageId) -> SenderId | None:
        """Give up a pending reply. Returns its sender; None when it is not pending."""
        async with self._db.transaction() as connection:
            sender: SenderId | None = await connection.fetchval(SQL["cancel"], reply_id)
            if sender is not None:
                states = {"before": {"state": "pending"}, "after": {"state": "cancelled"}}
                await note(connection, Order.REPLY_CANCELLED, f"reply {reply_id}", **states)
        return sender

    async def bounds(self, sender: Sender) -> tuple[Sequence[Hold], Sequence[str]]:
        """What holds the sender, and whether the ledger may send at all."""
        rows = await self._db.fetch(
            SQL["holds_on_sender"], str(sender.id), sender.waba_id, sender.portfolio_id
        )
        return [hold_of(row) for row in rows], await self._db.fetchval(SQL["moved"])

    async def check(self) -> Sequence[Fault]:
        """Prove that nothing is in the hands of nobody, and nothing before its turn."""
        faults = []
        if strays := await self._db.fetchval(SQL["stray_claims"]):
            faults.append(Fault(None, f"{strays} claimed replies belong to no running turn"))
        if overtaken := await self._db.fetchval(SQL["overtaken"]):
            faults.append(
                Fault(None, f"{overtaken} replies are claimed before an earlier one of their conversation")
            )
        return faults


def _view_of(row: Row, attempts: Sequence[Row] = (), receipts: Sequence[Row] = ()) -> ReplyView:
    return ReplyView(
        id=MessageId(row["id"]),
        sender=sender_of(row["sender"]),
        person=row["person"],
        position=row["position"],
        state=MessageState(row["state"]),
        reason=row["reason"],
        detail=row["detail"],
        code=row["code"],
        wamid=row["wamid"],
        attempt=row["attempt"],
        not_before=row["free_at"],
        queued_at=row["queued_at"],
        posted_at=row["posted_at"],
        content=row["content"],
        context_wamid=row["context_wamid"],
        key=row["key"],
        unsure_policy=UnsurePolicy(row["unsure_policy"]),
        window_ends_at=row["window_ends_at"],
        waits_for=row["waits_for"],
        attempts=[attempt_view_of(attempt) for attempt in attempts],
        receipts=[receipt_view_of(receipt) for receipt in receipts],
    )
