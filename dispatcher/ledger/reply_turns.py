"""The reply lane's side of the ledger: turns, claims and outcomes of replies.

Each method is one statement, or one transaction, and a compare-and-set: it names the turn that must hold the reply and
the state that it leaves. The statements themselves are in `sql/reply_turns.sql`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from dispatcher.domain.errors import LeaseLost, NotSettled
from dispatcher.domain.fence import PlacePart
from dispatcher.domain.hold import Hold
from dispatcher.domain.ids import MessageId, SenderId, TurnId
from dispatcher.domain.message import MessageState, Outcome
from dispatcher.domain.queued_reply import Claimed, ClaimedReply, DeadReplyTurn, OpenedReplyTurn
from dispatcher.domain.sender import Sender
from dispatcher.ledger.database import Database
from dispatcher.ledger.fence import LedgerFence
from dispatcher.ledger.queries import load
from dispatcher.ledger.rows import hold_of, sender_of

SQL = load("reply_turns")


class LedgerReplyTurns:
    """The port `ReplyTurns` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def open_turn(
        self, sender_id: SenderId, owner: str, lease: timedelta, remembered: int
    ) -> OpenedReplyTurn | None:
        """Begin a turn and read what the gate asks."""
        row = await self._db.fetchrow(SQL["open_turn"], sender_id, owner, lease, remembered)
        if row is None:
            return None
        if PlacePart.HISTORY in row["moved"]:
            # why kept: Redis may be lost before anybody else has looked.
            await LedgerFence(self._db).recall(remembered)
        return OpenedReplyTurn(
            turn_id=TurnId(row["turn_id"]),
            sender=sender_of(row["sender"]),
            sender_changed_at=row["sender"]["changed_at"],
            holds=[hold_of(hold) for hold in row["holds"]],
            instance=row["instance"],
            moved=row["moved"],
        )

    async def heartbeat(self, turn: OpenedReplyTurn, lease: timedelta) -> bool:
        """Prolong the lease; False when the sender is not what it was."""
        is_same = await self._db.fetchval(SQL["heartbeat"], turn.turn_id, lease, turn.sender_changed_at)
        if is_same is None:
            raise LeaseLost(f"reply turn {turn.turn_id} was reaped")
        return bool(is_same)

    async def claim(self, turn: OpenedReplyTurn, limit: int) -> Claimed:
        """Lease the first unfinished reply of each conversation; one statement."""
        rows = await self._db.fetch(SQL["claim"], turn.turn_id, turn.sender.id, limit)
        if rows[0]["turn_id"] is None:
            raise LeaseLost(f"reply turn {turn.turn_id} was reaped")
        claimed = [
            ClaimedReply(
                id=MessageId(row["id"]),
                person=row["person"],
                user_id=row["user_id"],
                key=row["person_key"],
                content=row["content"],
                context_wamid=row["context_wamid"],
                attempt=row["attempt"],
                open_for=row["open_for"],
            )
            for row in rows
            if row["state"] == "claimed"
        ]
        return Claimed(claimed, sum(row["state"] == "refused" for row in rows))

    async def settle(self, turn: OpenedReplyTurn, outcome: Outcome) -> bool:
        """Write what became of a reply; False when it was not the turn's any more."""
        given = (outcome.message_id, turn.turn_id, *outcome[1:])
        if outcome.state is not MessageState.PENDING or not outcome.posted:
            return await self._db.fetchval(SQL["settle"], *given) is not None
        async with self._db.transaction() as connection:
            settled = await connection.fetchval(SQL["settle"], *given) is not None
            if settled:
                await connection.execute(SQL["keep_attempt"], outcome.message_id)
        return settled

    async def close_turn(self, turn: OpenedReplyTurn) -> None:
        """End it; raises NotSettled while it has replies."""
        if await self._db.fetchval(SQL["close_turn"], turn.turn_id) is not None:
            return
        if await self._db.fetchval(SQL["is_open"], turn.turn_id):
            raise NotSettled(f"reply turn {turn.turn_id} still has replies")
        raise LeaseLost(f"reply turn {turn.turn_id} was reaped")

    async def dead_turns(self) -> Sequence[DeadReplyTurn]:
        """Turns whose lease has run out."""
        rows = await self._db.fetch(SQL["dead_turns"])
        return [DeadReplyTurn(TurnId(row["turn_id"]), sender_of(row["sender"])) for row in rows]

    async def reap(self, dead: DeadReplyTurn, handed: frozenset[MessageId] | None) -> tuple[int, int] | None:
        """Settle a dead turn, whatever it has still claimed."""
        async with self._db.transaction() as connection:
            if await connection.fetchval(SQL["reap_turn"], dead.turn_id) is None:
                return None
            rows = await connection.fetch(
                SQL["reap_replies"], dead.turn_id, None if handed is None else list(handed)
            )
        return len(rows), sum(row["state"] == "unsure" for row in rows)

    async def due_senders(self) -> Sequence[tuple[Sender, Sequence[Hold]]]:
        """Senders with a reply that could be claimed now, each with the holds in force on it."""
        rows = await self._db.fetch(SQL["due_senders"])
        return [(sender_of(row["sender"]), [hold_of(hold) for hold in row["holds"]]) for row in rows]
