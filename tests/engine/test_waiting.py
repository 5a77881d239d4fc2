"""Why people wait: the reasons add up to the people, and each comes with a time where time ends it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.builders import NOON, a_phone, a_sender, an_order
from support.world import World

from dispatcher.domain.campaign import CampaignState, Counts
from dispatcher.domain.hold import LIFTED_BY, Hold, HoldReason
from dispatcher.domain.report import LaneView, Waiting
from dispatcher.domain.sender import SenderStatus
from dispatcher.engine.campaigns import waiting_for
from dispatcher.engine.explain import describe
from dispatcher.engine.lane import run_turn


def a_lane(hold: Hold | None) -> LaneView:
    return LaneView(a_sender(), False, None, hold, 0, 0, 0, 0)


def counts(pending: int) -> Counts:
    return Counts(pending + 10, pending, 1, 9, 0, 0, 0, 0, 0)


holds = st.builds(
    Hold,
    st.sampled_from(HoldReason),
    st.none() | st.integers(0, 10_000).map(lambda s: NOON + timedelta(seconds=s)),
)


@given(
    parked=st.lists(st.tuples(st.integers(0, 50), holds), max_size=4),
    others=st.integers(0, 100),
    lanes=st.lists(st.none() | holds, max_size=4),
    state=st.sampled_from(CampaignState),
)
def test_reasons_add_up_to_the_people_who_wait(
    parked: list[tuple[int, Hold]], others: int, lanes: list[Hold | None], state: CampaignState
) -> None:
    pending = sum(n for n, _ in parked) + others
    waiting = waiting_for(
        an_order(state), counts(pending), [a_lane(h) for h in lanes], [Waiting(*each) for each in parked]
    )
    assert sum(wait.people for wait in waiting) == pending
    assert all(wait.people > 0 for wait in waiting)


def test_who_waits_for_nothing_of_his_own_waits_for_the_lane_that_is_free_first() -> None:
    soon, late = Hold(HoldReason.RATE, NOON), Hold(HoldReason.TIER_EXHAUSTED, NOON + timedelta(hours=3))
    banned = Hold(HoldReason.SENDER_BLOCKED, None, "BANNED")
    running = an_order()
    for lanes, expected in (
        ([late, soon, banned], soon),
        ([banned, late], late),
        ([banned], banned),
        ([banned, None], Hold(HoldReason.QUEUED)),
        ([], Hold(HoldReason.QUEUED)),
    ):
        assert waiting_for(running, counts(5), [a_lane(h) for h in lanes], ()) == [Waiting(5, expected)]


@pytest.mark.parametrize("reason", HoldReason)
def test_every_hold_is_told_with_what_ends_it(reason: HoldReason) -> None:
    assert LIFTED_BY[reason]
    assert describe(Hold(reason, NOON, "130429")) == f"{reason} (130429) until 2026-09-01 12:00:00 UTC"
    assert describe(Hold(reason)) == str(reason)


async def test_an_explanation_names_reason_time_and_what_one_can_do(world: World) -> None:
    await world.a_sender("harbour", tier=20)
    await world.a_sender("quay", status=SenderStatus.BANNED)
    campaign = await world.a_campaign(people=50, senders=["harbour", "quay"])
    for sender in campaign.senders:
        lane = await world.app.database.fetchval(
            "SELECT id FROM lanes WHERE campaign_id = $1 AND sender_id = $2", campaign.id, sender
        )
        await run_turn(world.app.lane_tools, lane)

    told = await world.app.explain.explain_campaign(campaign.id)

    assert told.binding is not None
    assert told.binding.until is not None
    assert told.summary == f"30 people wait: {describe(told.binding)}"
    assert f"tier_exhausted until {told.binding.until:%Y-%m-%d}" in told.summary
    assert "24 hours" in told.advice
    reasons = {lane.sender: [hold.reason for hold in lane.binding] for lane in told.lanes}
    assert reasons == {"harbour": [HoldReason.TIER_EXHAUSTED], "quay": [HoldReason.SENDER_BLOCKED]}
    rows = {row["phone"]: row for row in await world.export(campaign.id)}
    sent, waits = rows[a_phone(0)], rows[a_phone(49)]
    message = await world.app.explain.message(campaign.id, sent["message_id"])
    assert (await world.app.explain.explain_message(message)).summary == "it is accepted"
    message = await world.app.explain.message(campaign.id, waits["message_id"])
    assert "tier_exhausted" in (await world.app.explain.explain_message(message)).summary
