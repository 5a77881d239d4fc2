"""The promises of `Turns` and `CampaignBook` where lanes and owners meet: claims side by side, endings, orders."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest
from support.builders import a_phone
from support.conversations import a_conversation
from support.ledger import RUN_OUT, Ledger, as_dead, later, settle_all, taken

from dispatcher.domain.campaign import CampaignState
from dispatcher.domain.errors import Conflict
from dispatcher.domain.hold import Hold, HoldReason
from dispatcher.domain.ids import PoolKey
from dispatcher.domain.message import (
    ClaimedMessage,
    MessageState,
    given_back,
    unsure,
)
from dispatcher.domain.turn import OpenedTurn
from dispatcher.ledger import campaigns as ledger_campaigns
from dispatcher.ledger.database import Connection, Database
from dispatcher.ledger.partitions import PartitionId
from dispatcher.ledger.turns import LedgerTurns

# Lanes side by side


async def test_claims_never_overlap(ledger: Ledger) -> None:
    filled = await ledger.a_campaign(people=200, senders=4)
    turns = [await ledger.a_turn(lane) for lane in filled.lanes]
    batches = await asyncio.gather(*(ledger.turns.claim(turn, 15) for turn in turns for _ in range(4)))
    ids = [message.id for batch in batches for message in batch]
    assert len(ids) == len(set(ids)) > 0
    assert (await ledger.counts(filled)).claimed == len(ids)


async def test_the_campaign_is_complete_only_when_all_lanes_are_done(ledger: Ledger) -> None:
    filled = await ledger.a_campaign(people=4, senders=2)
    one, two = [await ledger.a_turn(lane) for lane in filled.lanes]
    mine, others = await ledger.turns.claim(one, 2), await ledger.turns.claim(two, 2)
    await settle_all(ledger, one, mine)
    assert (await ledger.turns.close_turn(one, None)).at is None
    assert (await ledger.campaigns.find(filled.campaign.id)).state is CampaignState.RUNNING
    await settle_all(ledger, two, others)
    await ledger.turns.close_turn(two, None)
    assert (await ledger.campaigns.find(filled.campaign.id)).state is CampaignState.COMPLETED


async def test_two_lanes_that_end_at_once_complete_the_campaign(ledger: Ledger) -> None:
    for _ in range(10):
        filled = await ledger.a_campaign(people=2, senders=2)
        turns = [await ledger.a_turn(lane) for lane in filled.lanes]
        claims = [await ledger.turns.claim(turn, 1) for turn in turns]

        async def end(turn: OpenedTurn, messages: Sequence[ClaimedMessage]) -> None:
            await settle_all(ledger, turn, messages)
            await ledger.turns.close_turn(turn, None)

        await asyncio.gather(*(end(*each) for each in zip(turns, claims, strict=True)))
        assert (await ledger.campaigns.find(filled.campaign.id)).state is CampaignState.COMPLETED


async def test_what_a_held_lane_gives_back_wakes_its_idle_sibling(ledger: Ledger) -> None:
    filled = await ledger.a_campaign(people=2, senders=2)
    one, two = [await ledger.a_turn(lane) for lane in filled.lanes]
    claimed = await ledger.turns.claim(one, 2)
    assert (await ledger.turns.close_turn(two, None)).at is None
    await ledger.turns.settle(one, [given_back(each.id) for each in claimed])
    await ledger.turns.close_turn(one, Hold(HoldReason.SENDER_BLOCKED, None, "BANNED"))
    assert [due.lane_id for due in await ledger.turns.due_lanes()] == [two.lane_id]


async def test_who_is_in_conversation_with_a_sender_is_left_to_it_as_long_as_it_can_send(
    ledger: Ledger,
) -> None:
    filled = await ledger.a_campaign(people=3, senders=2)
    one, two = [await ledger.a_turn(lane) for lane in filled.lanes]
    await a_conversation(ledger.database, two.sender, a_phone(0))
    mine = await ledger.turns.claim(one, 10)
    assert [(each.person, each.in_window) for each in mine] == [(a_phone(1), False), (a_phone(2), False)]
    await settle_all(ledger, one, mine)
    left = await ledger.turns.close_turn(one, None)
    assert left.at is not None
    hold = await ledger.database.fetchrow(
        "SELECT hold_reason, hold_detail FROM lanes WHERE id = $1", one.lane_id
    )
    assert tuple(hold) == ("queued", "who is left is in conversation with another sender")
    await ledger.turns.close_turn(two, Hold(HoldReason.SENDER_BLOCKED, None, "BANNED"))
    one = await ledger.a_turn(filled.lanes[0])
    assert [each.person for each in await ledger.turns.claim(one, 10)] == [a_phone(0)]


async def test_whom_two_senders_talk_with_either_takes(ledger: Ledger) -> None:
    """Each once left such a person to the other, for as long as the windows were open."""
    filled = await ledger.a_campaign(people=1, senders=2)
    one, two = [await ledger.a_turn(lane) for lane in filled.lanes]
    for turn in (one, two):
        await a_conversation(ledger.database, turn.sender, a_phone(0))
    left = await ledger.turns.close_turn(two, None)
    assert left.at is not None
    hold = await ledger.database.fetchval("SELECT hold_reason FROM lanes WHERE id = $1", two.lane_id)
    assert hold is None, "nobody is left to the other"
    assert [(each.person, each.in_window) for each in await ledger.turns.claim(one, 10)] == [
        (a_phone(0), True)
    ]


async def test_who_is_in_conversation_with_the_sender_itself_is_told_apart(ledger: Ledger) -> None:
    filled = await ledger.a_campaign(people=3)
    turn = await ledger.a_turn(filled.lanes[0])
    await a_conversation(ledger.database, turn.sender, a_phone(1))
    await a_conversation(ledger.database, turn.sender, a_phone(2), open_for=timedelta(minutes=1))
    claimed = await ledger.turns.claim(turn, 10)
    assert [each.in_window for each in claimed] == [False, True, False]


class HesitantTurns(LedgerTurns):
    """The ledger, with a moment's pause between what a closing turn sees and what it writes."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.has_looked, self.may_write = asyncio.Event(), asyncio.Event()

    async def _what_next(
        self, connection: Connection, partition: PartitionId, turn: OpenedTurn, hold: Hold | None
    ) -> tuple[Hold | None, datetime | None, datetime | None]:
        seen = await super()._what_next(connection, partition, turn, hold)
        self.has_looked.set()
        await self.may_write.wait()
        return seen


async def test_no_lane_falls_asleep_while_another_gives_back(ledger: Ledger) -> None:
    """One lane finds nobody left at the very moment another gives its people back and is blocked for good."""
    filled = await ledger.a_campaign(people=1, senders=2)
    one, two = [await ledger.a_turn(lane) for lane in filled.lanes]
    [message] = await ledger.turns.claim(one, 1)

    hesitant = HesitantTurns(ledger.database)
    closing = asyncio.create_task(hesitant.close_turn(two, None))
    await hesitant.has_looked.wait()
    await ledger.turns.settle(one, [given_back(message.id)])
    await ledger.turns.close_turn(one, Hold(HoldReason.SENDER_BLOCKED, None, "BANNED"))
    hesitant.may_write.set()

    assert (await closing).at is not None
    assert [due.lane_id for due in await ledger.turns.due_lanes()] == [two.lane_id]


# Orders


async def test_only_running_lanes_are_due(ledger: Ledger) -> None:
    filled = await ledger.a_campaign(state=CampaignState.DRAFT)
    assert await ledger.turns.due_lanes() == []
    lanes = await ledger.campaigns.move(filled.campaign.id, CampaignState.RUNNING)
    assert await ledger.turns.due_lanes() == lanes
    await ledger.a_turn(filled.lanes[0])
    assert await ledger.turns.due_lanes() == []


async def test_an_order_may_be_repeated_and_an_impossible_one_is_refused(ledger: Ledger) -> None:
    filled = await ledger.a_campaign()
    campaign_id = filled.campaign.id
    assert len(await ledger.campaigns.move(campaign_id, CampaignState.PAUSED)) == 1
    assert await ledger.campaigns.move(campaign_id, CampaignState.PAUSED) == []
    await ledger.campaigns.move(campaign_id, CampaignState.CANCELLED)
    with pytest.raises(Conflict):
        await ledger.campaigns.move(campaign_id, CampaignState.RUNNING)
    assert (await ledger.campaigns.find(campaign_id)).state is CampaignState.CANCELLED


async def test_unsent_people_are_dropped_in_chunks_and_counted(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_campaigns, "DROP_CHUNK", 3)
    filled = await ledger.a_campaign(people=10)
    turn = await ledger.a_turn(filled.lanes[0])
    claimed = await ledger.turns.claim(turn, 2)
    drop = ledger.campaigns.drop_pending
    assert await drop(filled.campaign.id, MessageState.CANCELLED, "cancelled") == 8
    assert await drop(filled.campaign.id, MessageState.CANCELLED, "cancelled") == 0
    await ledger.turns.settle(turn, [given_back(claimed[0].id)])
    assert await drop(filled.campaign.id, MessageState.EXPIRED, "deadline") == 1
    counts = await ledger.counts(filled)
    assert (counts.cancelled, counts.expired, counts.claimed) == (8, 1, 1)


async def test_people_of_a_cancelled_campaign_do_not_stay_pending_when_its_worker_dies(
    ledger: Ledger,
) -> None:
    filled = await ledger.a_campaign(people=3)
    turn = await ledger.a_turn(filled.lanes[0], RUN_OUT)
    await ledger.turns.claim(turn, 2)
    await ledger.campaigns.move(filled.campaign.id, CampaignState.CANCELLED)
    await ledger.campaigns.drop_pending(filled.campaign.id, MessageState.CANCELLED, "cancelled")
    await ledger.turns.reap(as_dead(turn), frozenset())
    assert [due.lane_id for due in await ledger.turns.due_lanes()] == list(filled.lanes)


async def test_whoever_may_have_been_reached_is_counted_when_the_limits_are_rebuilt(ledger: Ledger) -> None:
    filled = await ledger.a_campaign(people=6)
    turn = await ledger.a_turn(filled.lanes[0])
    a, b, c, d = await ledger.turns.claim(turn, 4)
    await ledger.turns.settle(turn, [taken(a), unsure(b.id, "answer_lost"), given_back(c.id)])
    chunks = [
        chunk async for chunk in ledger.turns.reached_of_pool(turn.sender.pool, later(-timedelta(days=1)))
    ]
    assert {reached.person for chunk in chunks for reached in chunk} == {a.key, b.key, d.key}
    assert await ledger.turns.senders_of_pool(turn.sender.pool) == [turn.sender]
    assert await ledger.turns.senders_of_pool(PoolKey("s404")) == []
