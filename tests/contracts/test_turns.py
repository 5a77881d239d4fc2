"""The promises of the port `Turns`, held by the ledger on PostgreSQL: a turn's life, and what a lease is worth."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest
from support.builders import a_phone
from support.ledger import LEASE, RUN_OUT, SOON, Ledger, all_taken, as_dead, later, settle_all, taken

from dispatcher.domain.campaign import CampaignState
from dispatcher.domain.errors import BadValue, LeaseLost, NotSettled
from dispatcher.domain.gate import HeldScope
from dispatcher.domain.hold import Hold, HoldReason
from dispatcher.domain.ids import LaneId, PersonKey
from dispatcher.domain.message import (
    MessageState,
    again_later,
    given_back,
    refused,
    unsure,
)
from dispatcher.domain.turn import Taken
from dispatcher.ledger.turns import SQL

# A turn's life


async def test_two_turns_cannot_hold_one_lane(ledger: Ledger) -> None:
    filled = await ledger.a_campaign()
    opened = await asyncio.gather(
        *(ledger.turns.open_turn(filled.lanes[0], f"worker {n}", LEASE) for n in range(4))
    )
    assert len([turn for turn in opened if turn is not None]) == 1


async def test_a_lane_that_does_not_exist_opens_no_turn(ledger: Ledger) -> None:
    assert await ledger.turns.open_turn(LaneId(404), "a test", LEASE) is None


async def test_a_turn_knows_what_the_gate_will_ask(ledger: Ledger) -> None:
    filled = await ledger.a_campaign()
    [sender] = await ledger.senders.all()
    hold = Hold(HoldReason.SENDER_HELD, later(), "131057: maintenance")
    await ledger.memory.put_hold(HeldScope.SENDER, str(sender.id), hold, 131057)
    over = Hold(HoldReason.ACCOUNT_FAULT, later(-SOON), "long ago")
    await ledger.memory.put_hold(HeldScope.ACCOUNT, sender.waba_id, over, 190)

    turn = await ledger.a_turn(filled.lanes[0])

    assert turn.campaign.id == filled.campaign.id
    assert turn.campaign.state is CampaignState.RUNNING
    assert turn.sender == sender
    assert turn.template is None
    assert turn.holds == [hold]


async def test_a_ledger_that_is_ready_has_all_connections_and_need_not_learn_any_type(ledger: Ledger) -> None:
    filled = await ledger.a_campaign()
    await ledger.turns.get_ready()
    pool = ledger.database.pool
    assert pool.get_size() == pool.get_idle_size() == pool.get_max_size()
    asked: list[str] = []
    async with AsyncExitStack() as held:
        for _ in range(pool.get_max_size()):
            connection = await held.enter_async_context(pool.acquire())
            connection.add_query_logger(lambda record: asked.append(record.query))
            await connection.fetch(SQL["turn_facts"], filled.lanes[0], 0)
    assert asked == [SQL["turn_facts"]] * pool.get_max_size()


async def test_claims_come_in_the_order_of_the_file(ledger: Ledger) -> None:
    filled = await ledger.a_campaign(people=5)
    turn = await ledger.a_turn(filled.lanes[0])
    first, second = await ledger.turns.claim(turn, 3), await ledger.turns.claim(turn, 3)
    assert [m.person for m in (*first, *second)] == [a_phone(n) for n in range(5)]
    assert {m.attempt for m in first} == {1}
    assert await ledger.turns.claim(turn, 3) == []


async def test_a_turn_that_settled_everybody_completes_the_campaign(ledger: Ledger) -> None:
    filled = await ledger.a_campaign(people=3)
    turn = await ledger.a_turn(filled.lanes[0])
    assert await settle_all(ledger, turn, await ledger.turns.claim(turn, 10)) == 3
    following = await ledger.turns.close_turn(turn, None)
    assert following.at is None
    assert (await ledger.campaigns.find(filled.campaign.id)).state is CampaignState.COMPLETED
    assert (await ledger.counts(filled)).accepted == 3


async def test_a_turn_cannot_be_closed_while_it_has_messages(ledger: Ledger) -> None:
    filled = await ledger.a_campaign()
    turn = await ledger.a_turn(filled.lanes[0])
    claimed = await ledger.turns.claim(turn, 2)
    with pytest.raises(NotSettled):
        await ledger.turns.close_turn(turn, None)
    await settle_all(ledger, turn, claimed)
    following = await ledger.turns.close_turn(turn, None)
    assert following.at is not None
    assert following.at <= later(timedelta())


async def test_each_outcome_is_counted_where_it_belongs(ledger: Ledger) -> None:
    filled = await ledger.a_campaign(people=8)
    turn = await ledger.a_turn(filled.lanes[0])
    a, b, c, d, e, *_ = await ledger.turns.claim(turn, 6)
    await ledger.turns.settle(
        turn,
        [
            taken(a),
            refused(b.id, "bad_parameter", code=None, detail="body.1", posted=False),
            unsure(c.id, "answer_lost"),
            given_back(d.id),
            again_later(e.id, later(), reason=HoldReason.PERSON_COOLDOWN, code=131049, detail="spared"),
        ],
    )
    counts = await ledger.counts(filled)
    assert (counts.accepted, counts.refused, counts.unsure) == (1, 1, 1)
    assert (counts.claimed, counts.pending) == (1, 4)
    assert counts.adds_up


async def test_settling_twice_changes_nothing(ledger: Ledger) -> None:
    filled = await ledger.a_campaign(people=2)
    turn = await ledger.a_turn(filled.lanes[0])
    claimed = await ledger.turns.claim(turn, 2)
    assert await settle_all(ledger, turn, claimed) == 2
    assert await settle_all(ledger, turn, claimed) == 0
    assert await ledger.turns.settle(turn, [unsure(claimed[0].id, "answer_lost")]) == 0
    assert (await ledger.counts(filled)).accepted == 2


async def test_settling_the_message_of_another_turn_changes_nothing(ledger: Ledger) -> None:
    filled = await ledger.a_campaign(senders=2)
    mine, other = [await ledger.a_turn(lane) for lane in filled.lanes]
    claimed = await ledger.turns.claim(other, 2)
    assert await settle_all(ledger, mine, claimed) == 0
    counts = await ledger.counts(filled)
    assert (counts.claimed, counts.accepted) == (2, 0)


async def test_who_was_suppressed_since_the_import_leaves_at_the_claim(ledger: Ledger) -> None:
    filled = await ledger.a_campaign(people=3)
    await ledger.memory.suppress(a_phone(1), PersonKey(a_phone(1)), "opted_out", "131050")
    turn = await ledger.a_turn(filled.lanes[0])
    assert [m.person for m in await ledger.turns.claim(turn, 10)] == [a_phone(0), a_phone(2)]
    view = await ledger.campaigns.message_to(filled.campaign.id, PersonKey(a_phone(1)))
    assert (view.state, view.reason, view.attempt) == (MessageState.SUPPRESSED, "suppressed: opted_out", 0)
    assert (await ledger.counts(filled)).suppressed == 1


async def test_a_message_that_waits_is_claimed_when_its_time_has_come_and_after_the_others(
    ledger: Ledger,
) -> None:
    filled = await ledger.a_campaign(people=4)
    turn = await ledger.a_turn(filled.lanes[0])
    a, b, c = await ledger.turns.claim(turn, 3)
    past, earlier = later(-SOON), later(-2 * SOON)
    await ledger.turns.settle(
        turn,
        [
            given_back(a.id, reason=HoldReason.PAIR, not_before=past),
            given_back(b.id, reason=HoldReason.PAIR, not_before=earlier),
            given_back(c.id, reason=HoldReason.PAIR, not_before=later()),
        ],
    )
    again = [message for _ in range(4) for message in await ledger.turns.claim(turn, 1)]
    assert [m.person for m in again] == [a_phone(3), b.person, a.person]
    [parked] = await ledger.campaigns.parked(filled.campaign.id)
    assert (parked.people, parked.hold.reason) == (1, HoldReason.PAIR)


async def test_a_lane_whose_people_all_wait_is_due_with_the_first_of_them(ledger: Ledger) -> None:
    filled = await ledger.a_campaign(people=1)
    turn = await ledger.a_turn(filled.lanes[0])
    [message] = await ledger.turns.claim(turn, 1)
    at = later()
    await ledger.turns.settle(turn, [given_back(message.id, reason=HoldReason.PAIR, not_before=at)])
    assert (await ledger.turns.close_turn(turn, None)).at == at
    [lane] = await ledger.campaigns.lanes(filled.campaign.id)
    assert lane.hold == Hold(HoldReason.PAIR, at)
    assert await ledger.turns.due_lanes() == []


async def test_a_hold_says_when_the_lane_runs_again(ledger: Ledger) -> None:
    filled = await ledger.a_campaign()
    hold = Hold(HoldReason.TIER_EXHAUSTED, later())
    following = await ledger.turns.close_turn(await ledger.a_turn(filled.lanes[0]), hold)
    assert following.at == hold.until
    blocked = Hold(HoldReason.SENDER_BLOCKED, None, "BANNED")
    following = await ledger.turns.close_turn(await ledger.a_turn(filled.lanes[0]), blocked)
    assert following.at is None
    [lane] = await ledger.campaigns.lanes(filled.campaign.id)
    assert lane.hold == blocked


async def test_what_is_poked_during_a_turn_runs_again_at_once(ledger: Ledger) -> None:
    filled = await ledger.a_campaign()
    turn = await ledger.a_turn(filled.lanes[0])
    [sender] = await ledger.senders.all()
    await ledger.senders.change(sender.name, {"enabled": True})
    following = await ledger.turns.close_turn(turn, Hold(HoldReason.SENDER_BLOCKED, None, "BANNED"))
    assert following.at is not None
    assert [due.lane_id for due in await ledger.turns.due_lanes()] == list(filled.lanes)


async def test_attempts_stay_on_record_when_a_message_goes_again(ledger: Ledger) -> None:
    filled = await ledger.a_campaign(people=1)
    turn = await ledger.a_turn(filled.lanes[0])
    for attempt in (1, 2):
        [message] = await ledger.turns.claim(turn, 1)
        assert message.attempt == attempt
        again = again_later(
            message.id, None, reason=HoldReason.RETRY_LATER, code=131049, detail=f"no {attempt}"
        )
        assert await ledger.turns.settle(turn, [again]) == 1
    [message] = await ledger.turns.claim(turn, 1)
    await ledger.turns.settle(turn, [given_back(message.id)])
    [message] = await ledger.turns.claim(turn, 1)
    await settle_all(ledger, turn, [message])
    view = await ledger.campaigns.message(filled.campaign.id, message.id)
    assert view.attempt == 3, "a message that goes back unposted has its attempt again"
    assert [(a.attempt, a.code, a.detail) for a in view.attempts] == [
        (1, 131049, "no 1"),
        (2, 131049, "no 2"),
    ]


# Leases


async def test_a_heartbeat_prolongs_the_lease_and_brings_the_owners_wish(ledger: Ledger) -> None:
    filled = await ledger.a_campaign()
    turn = await ledger.a_turn(filled.lanes[0], RUN_OUT)
    assert [dead.turn_id for dead in await ledger.turns.dead_turns()] == [turn.turn_id]
    await ledger.campaigns.move(filled.campaign.id, CampaignState.PAUSED)
    wanted = await ledger.turns.heartbeat([(turn.lane_id, turn.turn_id)], LEASE)
    assert wanted == {turn.turn_id: CampaignState.PAUSED}
    assert await ledger.turns.dead_turns() == []


async def test_one_heartbeat_prolongs_many_leases_and_leaves_out_who_was_reaped(ledger: Ledger) -> None:
    one, other = await ledger.a_campaign(senders=2), await ledger.a_campaign()
    turns = [await ledger.a_turn(lane, RUN_OUT) for lane in (*one.lanes, *other.lanes)]
    assert await ledger.turns.reap(as_dead(turns[1]), frozenset()) is not None
    await ledger.campaigns.move(other.campaign.id, CampaignState.PAUSED)
    wanted = await ledger.turns.heartbeat([(turn.lane_id, turn.turn_id) for turn in reversed(turns)], LEASE)
    assert wanted == {
        turns[0].turn_id: CampaignState.RUNNING,
        turns[2].turn_id: CampaignState.PAUSED,
    }
    assert await ledger.turns.dead_turns() == []


async def test_a_reaped_turn_has_lost_its_lease_and_leases_nothing(ledger: Ledger) -> None:
    filled = await ledger.a_campaign()
    turn = await ledger.a_turn(filled.lanes[0], RUN_OUT)
    assert await ledger.turns.reap(as_dead(turn), frozenset()) is not None
    with pytest.raises(LeaseLost):
        await ledger.turns.claim(turn, 5)
    assert await ledger.turns.heartbeat([(turn.lane_id, turn.turn_id)], LEASE) == {}
    with pytest.raises(LeaseLost):
        await ledger.turns.close_turn(turn, None)
    assert (await ledger.counts(filled)).pending == 10


async def test_what_a_dead_turn_had_handed_over_is_unsure_and_the_rest_free(ledger: Ledger) -> None:
    filled = await ledger.a_campaign(people=5)
    turn = await ledger.a_turn(filled.lanes[0], RUN_OUT)
    claimed = await ledger.turns.claim(turn, 4)
    await settle_all(ledger, turn, claimed[:1])
    reaped = await ledger.turns.reap(as_dead(turn), frozenset(m.id for m in claimed[:3]))
    assert reaped is not None
    assert (reaped.messages, reaped.unsure) == (3, 2)
    assert reaped.next.lane.generation == 1
    assert await ledger.turns.due_lanes() == [reaped.next.lane]
    counts = await ledger.counts(filled)
    assert (counts.accepted, counts.unsure, counts.pending) == (1, 2, 2)
    again = await ledger.turns.claim(await ledger.a_turn(filled.lanes[0]), 10)
    assert [(m.person, m.attempt) for m in again] == [(a_phone(3), 1), (a_phone(4), 1)]


async def test_when_nobody_knows_what_was_handed_over_all_of_it_is_unsure(ledger: Ledger) -> None:
    filled = await ledger.a_campaign(people=5)
    turn = await ledger.a_turn(filled.lanes[0], RUN_OUT)
    await ledger.turns.claim(turn, 3)
    reaped = await ledger.turns.reap(as_dead(turn), None)
    assert reaped is not None
    assert (reaped.messages, reaped.unsure) == (3, 3)
    counts = await ledger.counts(filled)
    assert (counts.unsure, counts.pending) == (3, 2)


async def test_a_turn_is_reaped_once(ledger: Ledger) -> None:
    filled = await ledger.a_campaign(people=5)
    turn = await ledger.a_turn(filled.lanes[0], RUN_OUT)
    await ledger.turns.claim(turn, 3)
    reaped = await asyncio.gather(*(ledger.turns.reap(as_dead(turn), None) for _ in range(3)))
    assert len([each for each in reaped if each is not None]) == 1
    assert (await ledger.counts(filled)).unsure == 3


async def test_our_own_late_answer_replaces_what_the_reaping_left_in_doubt(ledger: Ledger) -> None:
    filled = await ledger.a_campaign(people=4)
    turn = await ledger.a_turn(filled.lanes[0], RUN_OUT)
    a, b, c, d = await ledger.turns.claim(turn, 4)
    await ledger.turns.reap(as_dead(turn), frozenset({a.id, b.id, c.id}))
    late = [taken(a), refused(b.id, "no", code=131026, detail="", posted=True), given_back(c.id), taken(d)]
    assert await ledger.turns.settle(turn, late) == 2
    assert await ledger.turns.settle(turn, late) == 0
    counts = await ledger.counts(filled)
    assert (counts.accepted, counts.refused, counts.unsure, counts.pending) == (1, 1, 1, 1)


async def test_what_meta_took_is_written_for_many_turns_at_once(ledger: Ledger) -> None:
    """Of two campaigns, and of a turn that has been reaped meanwhile: its answers replace what was in doubt."""
    one, other = await ledger.a_campaign(senders=2, people=6), await ledger.a_campaign(people=2)
    turns = [await ledger.a_turn(lane) for lane in (*one.lanes, *other.lanes)]
    claims = [await ledger.turns.claim(turn, 2) for turn in turns]
    dead, lost = turns[1], claims[1]
    await ledger.turns.reap(as_dead(dead), frozenset({lost[0].id}))
    answers = [all_taken(turn, claimed) for turn, claimed in zip(turns, claims, strict=True)]
    assert await ledger.turns.settle_accepted(answers) == 5
    assert await ledger.turns.settle_accepted(answers) == 0
    counts = await ledger.counts(one)
    assert (counts.accepted, counts.unsure, counts.pending) == (3, 0, 3)
    assert (await ledger.counts(other)).accepted == 2
    written = await ledger.database.fetch("SELECT id, wamid FROM messages WHERE state = 'accepted'")
    assert {row["id"]: row["wamid"] for row in written} == {
        m.id: f"wamid.{m.id}" for claimed in claims for m in claimed if m != lost[1]
    }


async def test_an_id_of_metas_that_would_be_taken_for_two_writes_nothing(ledger: Ledger) -> None:
    filled = await ledger.a_campaign(people=2)
    turn = await ledger.a_turn(filled.lanes[0])
    first, second = await ledger.turns.claim(turn, 2)
    with pytest.raises(BadValue, match="line break"):
        await ledger.turns.settle_accepted(
            [Taken(turn, [first.id, second.id], ["wamid.1\nwamid.2", "wamid.3"])]
        )
    assert (await ledger.counts(filled)).claimed == 2


async def test_a_late_answer_does_not_touch_what_another_turn_has_claimed_since(ledger: Ledger) -> None:
    filled = await ledger.a_campaign(people=1)
    dead = await ledger.a_turn(filled.lanes[0], RUN_OUT)
    [message] = await ledger.turns.claim(dead, 1)
    await ledger.turns.reap(as_dead(dead), frozenset())
    turn = await ledger.a_turn(filled.lanes[0])
    assert len(await ledger.turns.claim(turn, 1)) == 1
    assert await ledger.turns.settle(dead, [taken(message)]) == 0
    assert (await ledger.counts(filled)).claimed == 1


async def test_a_turn_may_settle_while_it_is_reaped(ledger: Ledger) -> None:
    """A worker that was stopped for too long wakes up at the very moment of its reaping: neither may fail."""
    filled = await ledger.a_campaign(people=1500)
    for _ in range(15):
        turn = await ledger.a_turn(filled.lanes[0], RUN_OUT)
        claimed = await ledger.turns.claim(turn, 100)
        settled, reaped = await asyncio.gather(
            settle_all(ledger, turn, claimed),
            ledger.turns.reap(as_dead(turn), frozenset(m.id for m in claimed)),
        )
        assert reaped is not None
        assert settled == 100
    assert (await ledger.counts(filled)).accepted == 1500
