"""How a reply turn begins and ends: holds, stops, deaths, limits that forget, what comes while it runs."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from support.brakes import BrakedChannel, ForgetfulLimits
from support.builders import a_phone
from support.conversations import DAY, has_written
from support.reply_turns import lane_of, say, states
from support.waiting import wait_until
from support.world import World

from dispatcher.domain.gate import HeldScope
from dispatcher.domain.hold import Hold, HoldReason
from dispatcher.domain.message import MessageState
from dispatcher.engine.reply_lane import ReplyLane


async def test_a_reply_whose_wake_up_was_lost_is_found_by_upkeep(world: World) -> None:
    sender = await world.a_sender()
    await has_written(world, sender)
    await say(world, "one")
    queue = world.app.reply_jobs.queue
    await world.app.redis.flushdb()
    assert await world.app.reply_lane.sweep() == 1
    assert await world.app.redis.zcard(queue) == 1


async def test_a_hold_of_the_account_holds_replies(world: World) -> None:
    sender = await world.a_sender()
    await has_written(world, sender)
    await say(world, "one")
    hold = Hold(HoldReason.ACCOUNT_FAULT, detail="190")
    await world.app.lane_tools.memory.put_hold(HeldScope.ACCOUNT, sender.waba_id, hold, 190)
    await lane_of(world).serve(sender.id)
    assert await world.meta.accepted() == 0
    assert await states(world) == [(MessageState.PENDING, None)]


async def test_a_turn_asked_to_stop_waits_for_its_answers_and_leaves_nothing_unsure(world: World) -> None:
    sender = await world.a_sender()
    for n in range(6):
        await has_written(world, sender, a_phone(n))
        await say(world, "one", "two", to=n)
    channel, stopping = BrakedChannel(world.app.reply_lane.tools.channel), asyncio.Event()
    turn = asyncio.create_task(lane_of(world, channel=channel, stopping=stopping).serve(sender.id))
    await wait_until(lambda: channel.brake.waiting == 6, description="the first of each are on the wire")
    stopping.set()
    channel.brake.open.set()
    await turn
    found = [state for state, _ in await states(world)]
    assert sorted(found) == ["accepted"] * 6 + ["pending"] * 6
    assert await world.app.replies.check() == []


async def test_a_turn_that_is_broken_off_leaves_in_doubt_only_what_is_on_the_wire(world: World) -> None:
    sender = await world.a_sender()
    for n in range(3):
        await has_written(world, sender, a_phone(n))
        await say(world, "one", "two", to=n)
    channel = BrakedChannel(world.app.reply_lane.tools.channel)
    turn = asyncio.create_task(lane_of(world, channel=channel).serve(sender.id))
    await wait_until(lambda: channel.brake.waiting == 3, description="three are on the wire")
    turn.cancel()
    with pytest.raises(asyncio.CancelledError):
        await turn
    found = [state for state, _ in await states(world)]
    assert sorted(found) == ["pending"] * 3 + ["unsure"] * 3
    assert await world.app.database.fetch("SELECT FROM reply_turns") == [], "the turn was closed"


async def test_a_turn_without_a_sign_of_life_is_reaped(world: World) -> None:
    """One was handed over, the other only claimed: its answer to the claim never came."""
    sender = await world.a_sender()
    for n in (1, 2):
        await has_written(world, sender, a_phone(n))
    await say(world, "one", to=1)
    channel = BrakedChannel(world.app.reply_lane.tools.channel)
    turn = asyncio.create_task(lane_of(world, channel=channel).serve(sender.id))
    await channel.brake.reached.wait()
    await world.app.database.execute("UPDATE reply_turns SET lease_until = ledger_now() - interval '1 s'")
    assert await world.app.reply_lane.reap() == 1
    assert await states(world) == [(MessageState.UNSURE, "worker_lost")]
    channel.brake.open.set()
    await turn
    assert await states(world) == [(MessageState.ACCEPTED, None)], "its own answer came after all"


async def test_a_grant_whose_answer_is_lost_leaves_its_replies_pending_and_unposted(world: World) -> None:
    sender = await world.a_sender()
    await has_written(world, sender)
    await say(world, "one")
    limits = ForgetfulLimits(world.app.redis, namespace=world.instance, lost=frozenset({1}))
    await lane_of(world, limits=limits).serve(sender.id)
    assert await states(world) == [(MessageState.PENDING, "limits_unavailable")]
    assert await world.meta.accepted() == 0


async def test_limits_that_forget_in_the_middle_of_a_turn_are_rebuilt_by_the_next(world: World) -> None:
    sender = await world.a_sender()
    await has_written(world, sender)
    lane = ReplyLane(replace(world.app.reply_lane.tools, linger=DAY))
    turn = asyncio.create_task(lane.serve(sender.id))
    await say(world, "one")
    await wait_until(lambda: is_said(world), description="it is said, and the turn waits for more")
    await world.app.redis.flushdb()
    await say(world, "two")
    await lane.serve(sender.id)
    await turn
    assert (await states(world))[1] == (MessageState.PENDING, "limits_unavailable")

    async def are_both_said() -> bool:
        await lane_of(world).serve(sender.id)
        return [state for state, _ in await states(world)] == ["accepted"] * 2

    await wait_until(are_both_said, description="a moment later another turn says it")


async def test_what_comes_while_a_turn_runs_is_said_by_that_turn(world: World) -> None:
    sender = await world.a_sender()
    for n in (1, 2):
        await has_written(world, sender, a_phone(n))
    channel = BrakedChannel(world.app.reply_lane.tools.channel)
    lane = lane_of(world, channel=channel)
    await say(world, "one", to=1)
    turn = asyncio.create_task(lane.serve(sender.id))
    await channel.brake.reached.wait()
    await say(world, "two", to=2)
    await lane.serve(sender.id)  # returns at once: the running turn takes the wake-up over
    await wait_until(lambda: channel.brake.waiting == 2, description="nobody waits for an answer to another")
    channel.brake.open.set()
    await turn
    assert [state for state, _ in await states(world)] == ["accepted"] * 2


async def test_a_turn_does_not_outlive_a_change_of_its_sender(world: World) -> None:
    """It would go on with an old token."""
    sender = await world.a_sender()
    await has_written(world, sender)
    tools = world.app.reply_lane.tools
    turn = asyncio.create_task(ReplyLane(replace(tools, linger=DAY)).serve(sender.id))
    await say(world, "one")
    await wait_until(lambda: is_said(world), description="it is said, and the turn waits for more")
    assert not turn.done()
    woken = await world.app.redis.zcard(world.app.reply_jobs.queue)
    await world.app.senders.change("harbour", {"phone": "+49301234567"})
    await turn
    assert await world.app.database.fetch("SELECT FROM reply_turns") == []
    assert await world.app.redis.zcard(world.app.reply_jobs.queue) == woken + 1, "another turn follows"


async def is_said(world: World) -> bool:
    return [state for state, _ in await states(world)] == ["accepted"]
