"""Redis loses everything in mid-campaign. Nothing is lost with it: not a limit, not a person."""

from __future__ import annotations

from redis.asyncio import Redis
from support.waiting import wait_until
from support.world import World

from dispatcher.domain.campaign import Campaign
from dispatcher.domain.hold import HoldReason


async def forget(world: World) -> None:
    assert world.app.settings.redis_url is not None
    async with Redis.from_url(world.app.settings.redis_url) as client:
        await client.flushall()


async def test_a_flushed_redis_is_refilled_and_the_campaign_goes_on(world: World) -> None:
    await world.a_sender(rate="150/s")
    campaign = await world.a_campaign(people=300)
    async with world.workers(2):
        for so_many in (40, 120):
            await world.accepts(campaign, so_many)
            await forget(world)
        counts = await world.becomes(campaign)
    assert (counts.accepted, counts.unsure) == (300, 0)
    assert (await world.meta.record())["duplicates"] == 0
    await world.both_ends_agree(campaign)


async def test_a_tier_is_not_exceeded_by_a_redis_that_forgot_whom_we_reached(world: World) -> None:
    await world.a_sender(tier=100, rate="80/s")
    campaign = await world.a_campaign(people=300)
    async with world.workers(2):
        for so_many in (20, 50):
            await world.accepts(campaign, so_many)
            await forget(world)
        await wait_until(lambda: waits_for_the_tier(world, campaign), description="the tier is used up")
    assert await world.meta.accepted() <= 100
    violations = await world.meta.violations()
    assert "tier" not in violations
    assert "duplicate" not in violations
    counts = await world.counts(campaign)
    assert (counts.unsure, counts.claimed) == (0, 0)
    await world.both_ends_agree(campaign)


async def waits_for_the_tier(world: World, campaign: Campaign) -> bool:
    view = await world.view(campaign)
    is_idle = not view.counts.claimed and not any(lane.is_running for lane in view.lanes)
    return is_idle and [wait.hold.reason for wait in view.waiting] == [HoldReason.TIER_EXHAUSTED]
