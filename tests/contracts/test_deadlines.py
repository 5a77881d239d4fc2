"""A lane looks again when its campaign's deadline comes, whatever else it waits for: nobody stays pending beyond it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from support.ledger import SOON, Ledger, later, settle_all

from dispatcher.domain.campaign import CampaignState
from dispatcher.domain.hold import ENDED_BY_ORDER, Hold, HoldReason
from dispatcher.domain.message import given_back

TOMORROW = timedelta(days=1)


@pytest.mark.parametrize("until", [None, TOMORROW])
@pytest.mark.parametrize("reason", sorted(set(HoldReason) - ENDED_BY_ORDER))
async def test_a_held_lane_is_due_at_the_deadline(
    ledger: Ledger, reason: HoldReason, until: timedelta | None
) -> None:
    deadline = later(SOON)
    filled = await ledger.a_campaign(deadline=deadline)
    hold = Hold(reason, None if until is None else later(until))
    following = await ledger.turns.close_turn(await ledger.a_turn(filled.lanes[0]), hold)
    assert following.at == deadline
    [lane] = await ledger.campaigns.lanes(filled.campaign.id)
    assert (lane.hold, lane.next_at) == (hold, deadline)


async def test_a_wait_that_ends_before_the_deadline_ends_as_it_would(ledger: Ledger) -> None:
    filled = await ledger.a_campaign(deadline=later(TOMORROW))
    hold = Hold(HoldReason.TIER_EXHAUSTED, later(SOON))
    following = await ledger.turns.close_turn(await ledger.a_turn(filled.lanes[0]), hold)
    assert following.at == hold.until


async def test_people_who_wait_for_a_time_of_their_own_expire_with_the_others(ledger: Ledger) -> None:
    deadline = later(SOON)
    filled = await ledger.a_campaign(people=1, deadline=deadline)
    turn = await ledger.a_turn(filled.lanes[0])
    [message] = await ledger.turns.claim(turn, 1)
    again = given_back(message.id, reason=HoldReason.PERSON_COOLDOWN, not_before=later(TOMORROW))
    await ledger.turns.settle(turn, [again])
    assert (await ledger.turns.close_turn(turn, None)).at == deadline


@pytest.mark.parametrize("reason", sorted(ENDED_BY_ORDER))
async def test_what_only_an_order_ends_no_deadline_ends(ledger: Ledger, reason: HoldReason) -> None:
    filled = await ledger.a_campaign(deadline=later(SOON))
    following = await ledger.turns.close_turn(await ledger.a_turn(filled.lanes[0]), Hold(reason))
    assert following.at is None


async def test_a_turn_that_ends_after_the_deadline_is_followed_soon_but_not_at_once(ledger: Ledger) -> None:
    """A host whose clock is behind would else run turn after turn until its own clock agrees."""
    filled = await ledger.a_campaign(deadline=later(-SOON))
    before = later(timedelta())
    blocked = Hold(HoldReason.SENDER_BLOCKED, None, "BANNED")
    following = await ledger.turns.close_turn(await ledger.a_turn(filled.lanes[0]), blocked)
    assert following.at is not None
    assert timedelta(seconds=1) <= following.at - before < SOON


async def test_where_nobody_is_left_no_deadline_is_waited_for(ledger: Ledger) -> None:
    filled = await ledger.a_campaign(people=2, deadline=later(SOON))
    turn = await ledger.a_turn(filled.lanes[0])
    await settle_all(ledger, turn, await ledger.turns.claim(turn, 2))
    assert (await ledger.turns.close_turn(turn, None)).at is None
    assert (await ledger.campaigns.find(filled.campaign.id)).state is CampaignState.COMPLETED
