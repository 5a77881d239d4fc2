"""Workers are asked to stop, and are killed. Whatever happens to them, people get the message once or not at all."""

from __future__ import annotations

import asyncio
import signal
import time
from datetime import timedelta

import pytest
from support.meta import STOP_WITHIN
from support.waiting import wait_until
from support.world import World

from dispatcher.domain.campaign import Campaign, CampaignState


async def test_a_worker_that_is_asked_to_stop_finishes_what_it_has_and_another_goes_on(world: World) -> None:
    await world.meta.behaves(latency_ms=50)
    await world.a_sender(rate="200/s")
    campaign = await world.a_campaign(people=400)
    async with world.workers() as [worker]:
        await world.accepts(campaign, 50)
        began = time.monotonic()
        worker.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(worker.wait, STOP_WITHIN) == 0
        assert time.monotonic() - began < STOP_WITHIN.total_seconds()
        counts = await world.counts(campaign)
        assert (counts.claimed, counts.unsure) == (0, 0)
        assert counts.accepted == await world.meta.accepted() < 400
    async with world.workers():
        counts = await world.becomes(campaign)
    assert (counts.accepted, counts.unsure) == (400, 0)
    assert await world.meta.violations() == {}
    await world.both_ends_agree(campaign)


async def test_workers_with_four_lanes_and_slow_answers_leave_nobody_unsure(world: World) -> None:
    """A deployment in mid-campaign: sixty posts and more are on the wire, and every answer is waited for."""
    await world.meta.behaves(latency_ms=150)
    names = ("harbour", "market", "station", "bridge")
    for name in names:
        await world.a_sender(name, rate="100/s")
    campaign = await world.a_campaign(people=600, senders=names)
    async with world.workers(2) as workers:
        await world.accepts(campaign, 100)
        for worker in workers:
            worker.send_signal(signal.SIGTERM)
        for worker in workers:
            assert await asyncio.to_thread(worker.wait, STOP_WITHIN) == 0
        view = await world.view(campaign)
        assert (view.counts.claimed, view.counts.unsure) == (0, 0)
        assert view.counts.accepted == await world.meta.accepted() < 600
        assert all(lane.accepted and not lane.is_running for lane in view.lanes)
    async with world.workers():
        counts = await world.becomes(campaign)
    assert (counts.accepted, counts.unsure) == (600, 0)
    assert await world.meta.violations() == {}
    await world.both_ends_agree(campaign)


@pytest.mark.settings(stop_grace_s=1, post_timeout_s=30)
async def test_a_worker_whose_posts_hang_still_stops_in_time(world: World) -> None:
    """Meta has gone silent. After the grace what is on the wire is unsure, the rest is free for the next worker."""
    await world.a_sender(rate="50/s")
    await world.meta.behaves(faults={"silent_accepted": 1.0})
    campaign = await world.a_campaign(people=200)
    async with world.workers() as [worker]:
        await has_arrived(world, 5)
        worker.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(worker.wait, STOP_WITHIN) == 0
    counts = await world.counts(campaign)
    assert counts.claimed == 0
    assert counts.unsure == await world.meta.accepted() < 200
    await world.both_ends_agree(campaign)


@pytest.mark.settings(lease_s=2)
async def test_a_killed_worker_is_replaced_and_nobody_is_messaged_twice(world: World) -> None:
    await world.meta.behaves(latency_ms=20)
    await world.a_sender(rate="200/s")
    campaign = await world.a_campaign(people=300)
    async with world.workers(2, "lanes") as workers, world.workers(1, "upkeep"):
        await world.accepts(campaign, 50)
        for worker in workers:
            worker.send_signal(signal.SIGKILL)
            await asyncio.to_thread(worker.wait, timedelta(seconds=10))
        async with world.workers(1, "lanes"):
            counts = await world.becomes(campaign)
    assert counts.accepted + counts.unsure == 300
    most = world.app.settings.grant_most + world.app.settings.in_flight
    assert counts.unsure <= most, "only what was in the hands of the dead can be in doubt"
    assert (await world.meta.record())["duplicates"] == 0
    await world.both_ends_agree(campaign)


@pytest.mark.settings(lease_s=2)
async def test_people_are_cancelled_even_if_the_worker_dies_with_them(world: World) -> None:
    await world.a_sender(rate="100/s")
    campaign = await world.a_campaign(people=300)
    async with world.workers(1, "lanes") as [worker], world.workers(1, "upkeep"):
        await world.accepts(campaign, 20)
        worker.send_signal(signal.SIGKILL)
        await world.app.campaigns.cancel(campaign.id)
        async with world.workers(1, "lanes"):
            await all_settled(world, campaign)
    view = await world.view(campaign)
    assert view.campaign.state is CampaignState.CANCELLED
    assert view.counts.accepted + view.counts.unsure + view.counts.cancelled == 300
    await world.both_ends_agree(campaign)


async def has_arrived(world: World, at_least: int) -> None:
    async def enough() -> bool:
        return await world.meta.accepted() >= at_least

    await wait_until(enough, description=f"{at_least} messages at Meta")


async def all_settled(world: World, campaign: Campaign) -> None:
    async def nobody_left() -> bool:
        counts = await world.counts(campaign)
        return counts.pending == counts.claimed == 0

    await wait_until(nobody_left, description="nobody is pending or claimed")
