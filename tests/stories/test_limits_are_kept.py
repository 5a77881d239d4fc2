"""Never faster and never more than Meta allows, however many workers pull; and nobody starves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from support.builders import Crowd
from support.waiting import wait_until
from support.world import World

from dispatcher.domain.campaign import Campaign
from dispatcher.domain.hold import HoldReason


async def everybody_waits(world: World, *campaigns: Campaign) -> bool:
    """Whether nothing is in anybody's hands and all who are left wait for the tier."""
    for campaign in campaigns:
        view = await world.view(campaign)
        if view.counts.claimed or any(lane.is_running for lane in view.lanes):
            return False
        if [wait.hold.reason for wait in view.waiting] != [HoldReason.TIER_EXHAUSTED]:
            return False
    return True


@pytest.mark.slow
async def test_eight_workers_reach_exactly_as_many_people_as_the_tier_allows(world: World) -> None:
    """My sender is new: 250 people a day. Two campaigns want 1,000. Eight workers race, and 250 are reached."""
    await world.a_sender(tier=250, rate="500/s")
    spring = await world.a_campaign(people=600, name="spring", is_started=False)
    summer = await world.a_campaign(people=Crowd(400, first=600), name="summer", is_started=False)
    async with world.workers(8):
        for campaign in (spring, summer):
            await world.app.campaigns.start(campaign.id)
        await wait_until(
            lambda: everybody_waits(world, spring, summer), description="all others wait", timeout=60
        )
    views = [await world.view(campaign) for campaign in (spring, summer)]
    assert sum(view.counts.accepted for view in views) == await world.meta.accepted() == 250
    waiting = [wait for view in views for wait in view.waiting]
    assert sum(wait.people for wait in waiting) == 750
    margin = timedelta(seconds=world.app.settings.reach_margin_s)
    tomorrow = datetime.now(UTC) + timedelta(days=1) + margin
    for wait in waiting:
        assert wait.hold.until is not None
        assert tomorrow - timedelta(minutes=2) < wait.hold.until <= tomorrow
    assert await world.meta.violations() == {}
    await world.both_ends_agree(spring, summer)


async def test_a_sender_never_goes_faster_than_its_rate(world: World) -> None:
    """Two workers, two campaigns, one sender of 80 messages a second: Meta saw no more in any second."""
    await world.a_sender(rate="80/s")
    one = await world.a_campaign(people=120, name="one")
    two = await world.a_campaign(people=Crowd(120, first=120), name="two")
    async with world.workers(2):
        await world.becomes(one)
        await world.becomes(two)
    assert await world.meta.violations() == {}
    await world.both_ends_agree(one, two)


async def test_two_campaigns_on_one_sender_both_move_and_share_it_by_their_weight(world: World) -> None:
    """The urgent campaign has weight 3, the other 1: it goes about three times as fast, and the calm one never stands still.

    A lane may be a quarter of a second of the rate ahead of the other, 50 messages here: so 800 are looked at.
    """
    await world.a_sender(rate="200/s")
    calm = await world.a_campaign(people=900, name="calm", weight=1, is_started=False)
    urgent = await world.a_campaign(people=Crowd(900, first=900), name="urgent", weight=3, is_started=False)
    async with world.workers():
        for campaign in (calm, urgent):
            await world.app.campaigns.start(campaign.id)
        await wait_until(lambda: has_arrived(world, 1_000), description="1,000 messages arrived", timeout=60)
        arrived = (await world.meta.arrived())[200:1_000]
        for campaign in (calm, urgent):
            await world.app.campaigns.cancel(campaign.id)
    await world.both_ends_agree(calm, urgent)
    calm_ones = sum(each.token.campaign_id == calm.id for each in arrived)
    assert 2 <= (800 - calm_ones) / calm_ones <= 5


async def has_arrived(world: World, at_least: int) -> bool:
    return await world.meta.accepted() >= at_least
