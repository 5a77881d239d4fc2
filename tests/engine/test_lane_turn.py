"""One turn in this process, on the real ledger, limits and sandbox; brakes where an exact moment matters."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from support.brakes import BrakedChannel, BrakedSettling, ForgetfulLedger, ForgetfulLimits
from support.builders import a_phone
from support.conversations import has_written
from support.waiting import wait_until
from support.world import World

from dispatcher.domain.campaign import CampaignState
from dispatcher.domain.hold import HoldReason
from dispatcher.domain.ids import LaneId
from dispatcher.domain.sender import SenderStatus
from dispatcher.engine.lane import run_turn
from dispatcher.engine.posting import Posting
from dispatcher.engine.rebuild import open_pass
from dispatcher.engine.settling import Settling
from dispatcher.engine.tools import LaneTools


def tools_of(world: World, *, slice_s: float = 5, claim_most: int = 500, **parts: Any) -> LaneTools:
    """This process's tools, with some parts exchanged."""
    tools = world.app.lane_tools
    pace = replace(tools.settings, slice=timedelta(seconds=slice_s), claim_most=claim_most)
    tools = replace(tools, settings=pace, stopping=asyncio.Event(), **parts)
    return replace(tools, settling=Settling(tools.turns, tools.limits, tools.telemetry))


async def test_a_turn_sends_to_everybody_and_completes_the_campaign(world: World) -> None:
    await world.a_sender()
    campaign = await world.a_campaign(people=120)
    following = await run_turn(world.app.lane_tools, await world.lane_of(campaign))
    assert following is not None
    assert following.at is None
    view = await world.view(campaign)
    assert (view.campaign.state, view.counts.accepted) == (CampaignState.COMPLETED, 120)
    await world.both_ends_agree(campaign)


async def test_who_has_an_open_window_costs_nothing_of_the_tier(world: World) -> None:
    sender = await world.a_sender(tier=2)
    campaign = await world.a_campaign(people=4)
    await has_written(world, sender, a_phone(3))
    await run_turn(world.app.lane_tools, await world.lane_of(campaign))
    arrived = {each.person for each in await world.meta.arrived(campaign.id)}
    assert arrived == {a_phone(0), a_phone(1), a_phone(3)}
    assert await world.meta.violations() == {}
    view = await world.view(campaign)
    assert [wait.hold.reason for wait in view.waiting] == [HoldReason.TIER_EXHAUSTED]
    await world.both_ends_agree(campaign)


async def test_a_turn_tells_the_limits_how_urgent_its_campaign_is(world: World) -> None:
    await world.a_sender()
    campaign = await world.a_campaign(people=1, weight=3, priority=7)
    tools = world.app.lane_tools
    opened = await tools.turns.open_turn(await world.lane_of(campaign), "a test", timedelta(seconds=5))
    assert opened is not None
    turn_pass = await open_pass(tools, opened)
    assert (turn_pass.weight, turn_pass.priority) == (3, 7)


async def test_a_lane_that_is_being_served_gets_no_second_turn(world: World) -> None:
    await world.a_sender()
    campaign = await world.a_campaign(people=5)
    lane, channel = await world.lane_of(campaign), BrakedChannel(world.app.lane_tools.channel)
    first = asyncio.create_task(run_turn(tools_of(world, channel=channel), lane))
    await channel.brake.reached.wait()
    assert await run_turn(world.app.lane_tools, lane) is None
    channel.brake.open.set()
    assert await first is not None
    assert await world.meta.accepted() == 5


async def test_outcomes_being_written_when_the_turn_ends_are_not_lost(world: World) -> None:
    """They once were: the turn closed without them, its messages were found stray, and sent again."""
    await world.a_sender()
    campaign = await world.a_campaign(people=60)
    turns = BrakedSettling(world.app.database)
    turn = asyncio.create_task(run_turn(tools_of(world, turns=turns), await world.lane_of(campaign)))
    await turns.brake.reached.wait()
    await wait_until(lambda: has_arrived(world, 60), description="all posts are answered")
    assert not turn.done(), "the turn must not end before its outcomes are written"
    turns.brake.open.set()
    await turn
    assert (await world.counts(campaign)).accepted == 60
    await world.both_ends_agree(campaign)


@pytest.mark.parametrize("is_written", [False, True])
async def test_outcomes_are_kept_until_the_ledger_has_confirmed_them(world: World, is_written: bool) -> None:
    await world.a_sender()
    campaign = await world.a_campaign(people=60)
    turns = ForgetfulLedger(world.app.database, lost=2, is_written=is_written)
    lane = await world.lane_of(campaign)
    while (following := await run_turn(tools_of(world, turns=turns), lane)) and following.at:
        pass
    assert (await world.counts(campaign)).accepted == 60
    await world.both_ends_agree(campaign)


async def test_a_grant_whose_answer_is_lost_leaves_its_people_pending_and_unposted(world: World) -> None:
    await world.a_sender()
    campaign = await world.a_campaign(people=300)
    limits = ForgetfulLimits(world.app.redis, namespace=world.instance, lost=frozenset({2}))
    following = await run_turn(tools_of(world, limits=limits), await world.lane_of(campaign))
    assert following is not None
    assert following.at is not None
    view = await world.view(campaign)
    assert (view.counts.claimed, view.counts.unsure) == (0, 0)
    assert view.counts.pending >= 200
    assert view.counts.accepted == 300 - view.counts.pending == await world.meta.accepted()
    [lane] = view.lanes
    assert lane.hold is not None
    assert lane.hold.reason is HoldReason.LIMITS_UNAVAILABLE
    await world.both_ends_agree(campaign)


async def test_a_turn_asked_to_stop_in_the_middle_of_a_batch_leaves_nothing_unsure(world: World) -> None:
    await world.a_sender()
    campaign = await world.a_campaign(people=200)
    channel = BrakedChannel(world.app.lane_tools.channel)
    tools = tools_of(world, channel=channel, posting=Posting(10, time.monotonic), claim_most=50)
    turn = asyncio.create_task(run_turn(tools, await world.lane_of(campaign)))
    await channel.brake.reached.wait()
    tools.stopping.set()
    channel.brake.open.set()
    following = await turn
    assert following is not None
    assert following.at is not None
    counts = await world.counts(campaign)
    assert (counts.unsure, counts.claimed) == (0, 0)
    assert 0 < counts.accepted < 200
    await world.both_ends_agree(campaign)


@pytest.mark.parametrize("moment", ["while it grants", "while it waits for its posts"])
async def test_a_turn_that_is_broken_off_leaves_in_doubt_only_what_is_on_the_wire(
    world: World, moment: str
) -> None:
    """After the grace a worker cancels its turns. Ten posts are on the wire then; all others must go back."""
    await world.a_sender()
    campaign = await world.a_campaign(people=100 if moment == "while it grants" else 10)
    channel = BrakedChannel(world.app.lane_tools.channel)
    tools = tools_of(world, channel=channel, posting=Posting(10, time.monotonic))
    turn = asyncio.create_task(run_turn(tools, await world.lane_of(campaign)))
    await wait_until(lambda: channel.brake.waiting == 10, description="ten posts on the wire")
    if moment == "while it waits for its posts":
        tools.stopping.set()
        await wait_until(lambda: "_finish" in repr(asyncio.all_tasks()), description="the turn is finishing")
    turn.cancel()
    with pytest.raises(asyncio.CancelledError):
        await turn
    counts = await world.counts(campaign)
    assert (counts.unsure, counts.claimed, counts.accepted) == (10, 0, 0)
    [lane] = (await world.view(campaign)).lanes
    assert not lane.is_running, "the lease was given back, nobody has to wait for its end"
    await world.both_ends_agree(campaign)


async def test_a_pause_stops_a_turn_between_two_posts(world: World) -> None:
    await world.a_sender(rate="100/s")
    campaign = await world.a_campaign(people=300)
    turn = asyncio.create_task(run_turn(world.app.lane_tools, await world.lane_of(campaign)))
    await wait_until(lambda: has_arrived(world, 10), description="the first posts")
    await world.app.campaigns.pause(campaign.id)
    await turn
    counts = await world.counts(campaign)
    assert counts.claimed == counts.unsure == 0
    assert counts.accepted == await world.meta.accepted() < 300
    await world.both_ends_agree(campaign)


async def test_a_ban_told_to_the_limits_stops_a_turn_before_its_next_batch(world: World) -> None:
    await world.a_sender(rate="100/s")
    campaign = await world.a_campaign(people=300)
    turn = asyncio.create_task(run_turn(world.app.lane_tools, await world.lane_of(campaign)))
    await wait_until(lambda: has_arrived(world, 10), description="the first posts")
    await world.app.senders.change("harbour", {"status": SenderStatus.BANNED})
    await turn
    following = await run_turn(world.app.lane_tools, await world.lane_of(campaign))
    assert following is not None
    assert following.at is None
    [lane] = (await world.view(campaign)).lanes
    assert str(lane.hold) == "sender_blocked (BANNED)"
    assert (await world.counts(campaign)).unsure == 0
    await world.both_ends_agree(campaign)


async def test_a_reaped_turn_posts_nothing_more(world: World) -> None:
    await world.a_sender()
    campaign = await world.a_campaign(people=30)
    channel = BrakedChannel(world.app.lane_tools.channel)
    tools = tools_of(world, channel=channel, posting=Posting(5, time.monotonic))
    turn = asyncio.create_task(run_turn(tools, await world.lane_of(campaign)))
    await wait_until(lambda: channel.brake.waiting == 5, description="five posts on the wire")
    await run_out(world, await world.lane_of(campaign))
    assert await world.app.upkeep.reap() == 1
    in_doubt = (await world.counts(campaign)).unsure
    assert 5 <= in_doubt <= 30, "whoever was granted may have been handed over"
    await wait_until(
        lambda: "_look_steadily" not in repr(asyncio.all_tasks()),
        description="the turn knows that its lease is gone",
    )
    channel.brake.open.set()
    assert await turn is None
    assert await world.meta.accepted() == 5
    counts = await world.counts(campaign)
    assert counts.accepted == 5, "our own late answers settle what they can"
    assert counts.unsure == in_doubt - 5
    await world.both_ends_agree(campaign)


async def run_out(world: World, lane: LaneId) -> None:
    """As if the worker had been stopped for the length of a lease."""
    await world.app.database.execute(
        "UPDATE lanes SET lease_until = ledger_now() - interval '1 second' WHERE id = $1", lane
    )


async def has_arrived(world: World, at_least: int) -> bool:
    return await world.meta.accepted() >= at_least
