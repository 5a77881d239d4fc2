"""The hot path's side of the ledger: lanes, claims and outcomes.

Each method is one statement, or one transaction, and a compare-and-set: it names the turn that must hold the lane
and the state that a message leaves. The statements themselves are in `sql/turns.sql`.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta

from dispatcher.domain.campaign import CampaignState
from dispatcher.domain.errors import BadValue, LeaseLost, NotSettled
from dispatcher.domain.fence import PlacePart
from dispatcher.domain.grant import Reached
from dispatcher.domain.hold import ENDED_BY_ORDER, Hold, HoldReason
from dispatcher.domain.ids import CampaignId, LaneId, MessageId, PersonKey, PoolKey, SenderId, TurnId
from dispatcher.domain.message import ClaimedMessage, MessageState, Outcome, accepted
from dispatcher.domain.sender import Sender
from dispatcher.domain.template import Category, parse_template
from dispatcher.domain.turn import DeadTurn, DueLane, Next, OpenedTurn, Reaped, Taken
from dispatcher.ledger.database import Connection, Database
from dispatcher.ledger.fence import LedgerFence
from dispatcher.ledger.partitions import PartitionId, Partitions, within
from dispatcher.ledger.queries import load
from dispatcher.ledger.rows import campaign_of, hold_of, sender_of
from dispatcher.ledger.senders import pool_filter, template_key

SQL = load("turns")

LEAVE_TO_OTHERS = timedelta(seconds=1)
"""When a lane looks again that has left everybody to other senders of its campaign."""
REACHED_CHUNK = 5_000
"""People per chunk when a pool is rebuilt."""


class LedgerTurns:
    """The port `Turns` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._partitions = Partitions(database)
        self._claiming: defaultdict[CampaignId, asyncio.Lock] = defaultdict(asyncio.Lock)
        """why: claims of one campaign that run at once walk over each other's rows; one after the other they are cheaper."""

    async def get_ready(self) -> None:
        """Open all connections; each knows what a campaign and a sender look like."""
        await self._db.warm_up(SQL["turn_facts"])

    async def open_turn(
        self, lane_id: LaneId, owner: str, lease: timedelta, remembered: int = 0
    ) -> OpenedTurn | None:
        """Take the lane's lease and read what the gate asks."""
        async with self._db.transaction() as connection:
            taken = await connection.fetchrow(SQL["open_turn"], lane_id, owner, lease)
            if taken is None:
                return None
            row = await connection.fetchrow(SQL["turn_facts"], lane_id, remembered)
            assert row is not None
            campaign = campaign_of(row["campaign"], row["sender_ids"])
            sender = sender_of(row["sender"])
            holds = await connection.fetch(
                SQL["holds_in_force"],
                str(sender.id),
                sender.waba_id,
                sender.portfolio_id,
                template_key(sender.waba_id, campaign.template, campaign.language),
            )
        if PlacePart.HISTORY in row["moved"]:
            # why kept: Redis may be lost before anybody else has looked.
            await LedgerFence(self._db).recall(remembered)
        return OpenedTurn(
            lane_id=lane_id,
            turn_id=TurnId(taken["turn_id"]),
            campaign=campaign,
            sender=sender,
            template=None if row["template"] is None else parse_template(row["template"]),
            holds=[hold_of(hold) for hold in holds],
            instance=row["instance"],
            due_at=taken["due_at"],
            moved=row["moved"],
        )

    async def heartbeat(
        self, held: Sequence[tuple[LaneId, TurnId]], lease: timedelta
    ) -> Mapping[TurnId, CampaignState]:
        """Prolong leases; one statement."""
        lanes, turns = zip(*held, strict=True)
        rows = await self._db.fetch(SQL["heartbeat"], lanes, turns, lease)
        return {TurnId(row["turn_id"]): CampaignState(row["state"]) for row in rows}

    async def claim(self, turn: OpenedTurn, limit: int) -> Sequence[ClaimedMessage]:
        """Lease the next pending messages; one statement."""
        is_marketing = turn.template is not None and turn.template.category is Category.MARKETING
        claim = await self._here(SQL["claim"], turn.campaign.id)
        async with self._claiming[turn.campaign.id]:
            rows = await self._db.fetch(
                claim,
                turn.campaign.id,
                turn.lane_id,
                turn.turn_id,
                turn.sender.id,
                limit,
                is_marketing,
                len(turn.campaign.senders) > 1,
            )
        first = rows[0]
        if first["lane_id"] is None:
            raise LeaseLost(f"turn {turn.turn_id} of lane {turn.lane_id} was reaped")
        return [] if first["id"] is None else [ClaimedMessage(*row[:6]) for row in rows]

    async def settle_accepted(self, taken: Sequence[Taken]) -> int:
        """Write what Meta took, of any number of turns; one statement for those whose campaigns share a partition."""
        apart: defaultdict[PartitionId, list[Taken]] = defaultdict(list)
        for each in taken:
            apart[await self._partitions.of(each.turn.campaign.id)].append(each)
        return sum([await self._settle_accepted(*those) for those in apart.items()])

    async def _settle_accepted(self, partition: PartitionId, taken: Sequence[Taken]) -> int:
        """One statement, and more only for turns that were reaped. Raises BadValue; nothing is written then."""
        lanes = [turn.lane_id for turn, _, _ in taken]
        turns = [turn.turn_id for turn, _, _ in taken]
        campaigns = [turn.campaign.id for turn, _, _ in taken]
        ids = ["\n".join(map(str, of_turn)) for _, of_turn, _ in taken]
        wamids = ["\n".join(answers) for _, _, answers in taken]
        if any(lines.count("\n") != other.count("\n") for lines, other in zip(ids, wamids, strict=True)):
            raise BadValue("an id of Meta's has a line break; nothing of this was written")
        settle = within(SQL["settle_accepted"], partition)
        rows = await self._db.fetch(settle, lanes, turns, campaigns, ids, wamids)
        settled: dict[int, int] = {row["turn_id"]: row["settled"] for row in rows}
        late = 0
        for turn, of_turn, answers in taken:
            if settled.get(turn.turn_id, 0) < len(of_turn):
                late += await self._settle_late(
                    turn, [accepted(*each) for each in zip(of_turn, answers, strict=True)]
                )
        return sum(settled.values()) + late

    async def settle(self, turn: OpenedTurn, outcomes: Sequence[Outcome]) -> int:
        """Write outcomes; one statement, and more only for what is rare."""
        if not outcomes:
            return 0
        again = [o.message_id for o in outcomes if o.state is MessageState.PENDING and o.posted]
        key = (turn.campaign.id, turn.lane_id, turn.turn_id)
        columns = _columns(outcomes)
        partition = await self._partitions.of(turn.campaign.id)
        settle, keep = within(SQL["settle"], partition), within(SQL["keep_attempts"], partition)
        if not again:
            settled = int(await self._db.fetchval(settle, *key, *columns))
        else:
            async with self._db.transaction() as connection:
                settled = int(await connection.fetchval(settle, *key, *columns))
                await connection.execute(keep, turn.campaign.id, turn.turn_id, again)
        if settled < len(outcomes):
            settled += await self._settle_late(turn, outcomes)
        return settled

    async def _settle_late(self, turn: OpenedTurn, outcomes: Sequence[Outcome]) -> int:
        """What became of messages that are no longer the turn's, as far as it is news."""
        key = (turn.campaign.id, turn.lane_id, turn.turn_id)
        settle = await self._here(SQL["settle_late"], turn.campaign.id)
        return int(await self._db.fetchval(settle, *key, *_columns(outcomes)[:6]))

    async def close_turn(self, turn: OpenedTurn, hold: Hold | None) -> Next:
        """Give the lease back; decides, by what is left, when the lane runs next."""
        partition = await self._partitions.of(turn.campaign.id)
        async with self._db.transaction() as connection:
            claimed = await connection.fetchval(SQL["lane_claimed"], turn.lane_id, turn.turn_id)
            if claimed is None:
                raise LeaseLost(f"turn {turn.turn_id} of lane {turn.lane_id} was reaped")
            if claimed:
                raise NotSettled(f"turn {turn.turn_id} of lane {turn.lane_id} still has {claimed} messages")
            hold, next_at, latest = await self._what_next(connection, partition, turn, hold)
            closed = await connection.fetchrow(
                SQL["close_turn"],
                turn.lane_id,
                turn.turn_id,
                next_at,
                hold.reason if hold else None,
                hold.until if hold else None,
                hold.detail if hold else "",
                latest,
            )
            assert closed is not None
            if hold is not None:
                await connection.execute(SQL["poke_idle_siblings"], turn.campaign.id, turn.lane_id)
        next_at = closed["next_at"]
        if next_at is None:
            # why: in transactions of their own, so that of two lanes that end at once the later one sees the other.
            next_at = await self._db.fetchval(SQL["stay_awake"], turn.lane_id, turn.campaign.id)
            async with self._db.transaction() as connection:
                await connection.execute(SQL["lock_campaign"], turn.campaign.id)
                await connection.execute(SQL["complete_campaign"], turn.campaign.id)
        return Next(DueLane(turn.lane_id, closed["generation"]), next_at)

    async def _what_next(
        self, connection: Connection, partition: PartitionId, turn: OpenedTurn, hold: Hold | None
    ) -> tuple[Hold | None, datetime | None, datetime | None]:
        """Why the lane waits, until when, and when it is due in any case, to give up whom the deadline has met."""
        campaign = turn.campaign
        earliest = await connection.fetchrow(within(SQL["earliest_pending"], partition), campaign.id)
        if earliest is None:
            return None, None, None
        if hold is not None:
            return hold, hold.until, None if hold.reason in ENDED_BY_ORDER else campaign.deadline
        if earliest["is_due"]:
            now: datetime = await connection.fetchval("SELECT ledger_now()")
            several = len(campaign.senders) > 1
            left_to_others = within(SQL["left_to_others"], partition)
            if several and await connection.fetchval(left_to_others, campaign.id, turn.sender.id):
                again_at = now + LEAVE_TO_OTHERS
                hold = Hold(HoldReason.QUEUED, again_at, "who is left is in conversation with another sender")
                return hold, again_at, campaign.deadline
            return None, now, campaign.deadline
        return Hold(HoldReason(earliest["reason"]), earliest["at"]), earliest["at"], campaign.deadline

    async def dead_turns(self) -> Sequence[DeadTurn]:
        """Turns whose lease has run out."""
        rows = await self._db.fetch(SQL["dead_turns"])
        return [
            DeadTurn(
                LaneId(row["lane_id"]),
                TurnId(row["turn_id"]),
                CampaignId(row["campaign_id"]),
                PoolKey(row["pool"]),
            )
            for row in rows
        ]

    async def reap(self, dead: DeadTurn, handed: frozenset[MessageId] | None) -> Reaped | None:
        """Settle a dead turn, whatever it has still claimed."""
        reap_messages = await self._here(SQL["reap_messages"], dead.campaign_id)
        async with self._db.transaction() as connection:
            lane = await connection.fetchrow(SQL["reap_lane"], dead.lane_id, dead.turn_id)
            if lane is None:
                return None
            row = await connection.fetchrow(
                reap_messages,
                dead.campaign_id,
                dead.lane_id,
                dead.turn_id,
                None if handed is None else list(handed),
            )
            assert row is not None
        following = Next(DueLane(dead.lane_id, lane["generation"]), lane["next_at"])
        return Reaped(row["reaped"], row["unsure"], following)

    async def due_lanes(self) -> Sequence[DueLane]:
        """Lanes whose time has come."""
        rows = await self._db.fetch(SQL["due_lanes"])
        return [DueLane(LaneId(row["id"]), row["generation"], row["is_overdue"]) for row in rows]

    async def senders_of_pool(self, pool: PoolKey) -> Sequence[Sender]:
        """All senders that share a quota pool."""
        portfolio, sender_id = pool_filter(pool)
        rows = await self._db.fetch(SQL["senders_of_pool"], portfolio, sender_id)
        return [sender_of(row) for row in rows]

    async def turns_with_claims(self, pool: PoolKey) -> Sequence[TurnId]:
        """Turns of a pool that have messages in their hands."""
        senders = [sender.id for sender in await self.senders_of_pool(pool)]
        rows = await self._db.fetch(SQL["turns_with_claims"], senders)
        return [TurnId(row["turn_id"]) for row in rows]

    async def reached_of_pool(self, pool: PoolKey, since: datetime) -> AsyncIterator[Sequence[Reached]]:
        """Everybody to whom something may have been handed over since then."""
        senders = [sender.id for sender in await self.senders_of_pool(pool)]
        async with self._db.transaction() as connection:
            chunk: list[Reached] = []
            async for row in connection.cursor(
                SQL["reached_of_pool"], senders, since, prefetch=REACHED_CHUNK
            ):
                sender_id, key, at, turn_id = row
                chunk.append(Reached(SenderId(sender_id), PersonKey(key), at, turn_id))
                if len(chunk) == REACHED_CHUNK:
                    yield chunk
                    chunk = []
            if chunk:
                yield chunk

    async def _here(self, sql: str, campaign_id: CampaignId) -> str:
        """The statement on the partition that has the campaign. Not to be asked for while a connection is held."""
        return within(sql, await self._partitions.of(campaign_id))


def _columns(outcomes: Sequence[Outcome]) -> tuple[list[object], ...]:
    """Outcomes turned on their side: one array per field, in their order, as `unnest` takes them."""
    return tuple(map(list, zip(*outcomes, strict=True)))
