"""Nobody was there for long: what a campaign may still send then, and what it gives up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from support.builders import a_phone
from support.world import World

from dispatcher.domain.campaign import Campaign, CampaignState
from dispatcher.domain.hold import HoldReason
from dispatcher.domain.ids import PersonKey
from dispatcher.domain.sender import SenderStatus
from dispatcher.engine.lane import run_turn

LONG = timedelta(hours=13)
"""A little longer than what is late by default."""


async def nobody_was_there(world: World, campaign: Campaign, span: timedelta = LONG) -> None:
    """As the ledger is found when the last worker ended so long ago."""
    await world.app.database.execute(
        "UPDATE lanes SET next_at = next_at - $2::interval, lease_until = lease_until - $2::interval "
        "WHERE campaign_id = $1",
        campaign.id,
        span,
    )


async def turns(world: World, campaign: Campaign) -> None:
    """Turns of the campaign's lane, one after the other, until none is due."""
    tools, lane = world.app.lane_tools, await world.lane_of(campaign)
    await run_turn(tools, lane)
    while await tools.turns.due_lanes():
        await run_turn(tools, lane)


async def is_paused_as_late(world: World, campaign: Campaign) -> bool:
    view = await world.view(campaign)
    [waiting] = view.waiting
    return (
        view.campaign.state is CampaignState.PAUSED
        and waiting.hold.reason is HoldReason.PAUSED
        and waiting.hold.detail.startswith("late: due since ")
    )


async def test_a_campaign_that_comes_half_a_day_late_is_paused_and_nobody_is_messaged(world: World) -> None:
    """The server was off over the weekend. "Only today!" does not go out on Monday; I decide, and then it goes."""
    await world.a_sender()
    campaign = await world.a_campaign(people=30)
    await nobody_was_there(world, campaign)
    async with world.workers():
        await world.becomes(campaign, CampaignState.PAUSED)
        assert await is_paused_as_late(world, campaign)
        assert await world.meta.accepted() == 0
        await world.app.campaigns.resume(campaign.id)
        counts = await world.becomes(campaign)
    assert counts.accepted == 30
    await world.both_ends_agree(campaign)


async def test_a_short_outage_delays_and_nothing_more(world: World) -> None:
    await world.a_sender()
    campaign = await world.a_campaign(people=10)
    await nobody_was_there(world, campaign, LONG - timedelta(hours=2))
    await turns(world, campaign)
    assert (await world.counts(campaign)).accepted == 10


@pytest.mark.settings(late_after_s=600)
async def test_how_late_is_too_late_is_mine_to_say(world: World) -> None:
    await world.a_sender()
    campaign = await world.a_campaign(people=10)
    await nobody_was_there(world, campaign, timedelta(minutes=11))
    await turns(world, campaign)
    assert await is_paused_as_late(world, campaign)


async def test_waiting_a_day_for_the_tier_is_not_being_late(world: World) -> None:
    """Its turn was due a minute ago, when the tokens came back; that it began yesterday says nothing."""
    await world.a_sender()
    campaign = await world.a_campaign(people=10)
    await world.app.database.execute("UPDATE campaigns SET started_at = started_at - interval '3 days'")
    await nobody_was_there(world, campaign, timedelta(minutes=1))
    await turns(world, campaign)
    assert (await world.counts(campaign)).accepted == 10


async def test_a_campaign_with_a_deadline_goes_on_until_then(world: World) -> None:
    """I said myself until when it makes sense."""
    await world.a_sender()
    campaign = await world.a_campaign(people=10, deadline=datetime.now(UTC) + timedelta(hours=1))
    await nobody_was_there(world, campaign)
    await turns(world, campaign)
    assert (await world.counts(campaign)).accepted == 10


async def test_a_turn_that_died_long_ago_has_been_due_since_then(world: World) -> None:
    """The machine lost its power in mid-campaign, and came back a day later."""
    await world.a_sender()
    campaign = await world.a_campaign(people=10)
    tools = world.app.lane_tools
    lane = await world.lane_of(campaign)
    opened = await tools.turns.open_turn(lane, "a worker that died", timedelta(seconds=1))
    assert opened is not None
    await nobody_was_there(world, campaign)
    assert await world.app.upkeep.reap() == 1
    await turns(world, campaign)
    assert await is_paused_as_late(world, campaign)
    assert await world.meta.accepted() == 0


async def test_mending_a_sender_first_does_not_make_it_less_late(world: World) -> None:
    await world.a_sender()
    campaign = await world.a_campaign(people=10)
    await nobody_was_there(world, campaign)
    await world.app.senders.change("harbour", {"status": SenderStatus.FLAGGED})
    await turns(world, campaign)
    assert await is_paused_as_late(world, campaign)


async def test_explaining_says_that_it_will_be_paused(world: World) -> None:
    await world.a_sender()
    campaign = await world.a_campaign(people=10)
    await nobody_was_there(world, campaign)
    [lane] = (await world.app.explain.explain_campaign(campaign.id)).lanes
    assert (lane.binding[0].reason, lane.binding[0].detail[:4]) == (HoldReason.PAUSED, "late")


# Deadlines


async def test_people_expire_at_the_deadline_though_their_sender_is_banned(world: World) -> None:
    """A banned sender never says when it is free again. At the deadline the campaign ends all the same."""
    await world.a_sender(status=SenderStatus.BANNED)
    deadline = datetime.now(UTC) + timedelta(minutes=30)
    campaign = await world.a_campaign(people=10, deadline=deadline)
    await turns(world, campaign)
    [lane] = (await world.view(campaign)).lanes
    assert (lane.next_at, lane.hold is not None) == (deadline, True)
    await deadline_passes(world, campaign)
    async with world.workers():
        counts = await world.becomes(campaign)
    assert counts.expired == 10


async def test_a_paused_campaign_past_its_deadline_expires_when_it_is_resumed(world: World) -> None:
    await world.a_sender()
    campaign = await world.a_campaign(people=10, deadline=datetime.now(UTC) + timedelta(minutes=30))
    await world.app.campaigns.pause(campaign.id)
    await deadline_passes(world, campaign)
    await turns(world, campaign)
    assert (await world.counts(campaign)).pending == 10, "paused is paused"
    await world.app.campaigns.resume(campaign.id)
    await turns(world, campaign)
    view = await world.view(campaign)
    assert (view.campaign.state, view.counts.expired) == (CampaignState.COMPLETED, 10)
    message = await world.app.explain.message_to(campaign.id, PersonKey(a_phone(0)))
    assert message.reason == "deadline"
    assert await world.meta.accepted() == 0


async def deadline_passes(world: World, campaign: Campaign) -> None:
    """Half an hour goes by for the ledger."""
    half_an_hour = timedelta(minutes=31)
    await world.app.database.execute(
        "UPDATE campaigns SET deadline = deadline - $2::interval WHERE id = $1", campaign.id, half_an_hour
    )
    await nobody_was_there(world, campaign, half_an_hour)
