"""Reply workers that are killed, and one that is asked to stop; the sandbox judges. Longer: `python -m benchmarks order`."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.builders import a_phone
from support.conversations import has_written
from support.meta import STOP_WITHIN
from support.waiting import wait_until
from support.world import World

from dispatcher.domain.ids import REPLIES, MessageId
from dispatcher.domain.message import MessageState
from dispatcher.domain.queued_reply import NewReply, Queued
from dispatcher.domain.reply import Text

ROOT = Path(__file__).parents[2]
PEOPLE, REPLIES_EACH = 30, 6


def test_killed_workers_leave_every_conversation_in_order_and_nobody_gets_anything_twice() -> None:
    command = ["order", "--replies", "600", "--conversations", "60", "--per-s", "100", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", *command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stdout, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert (result["duplicates"], result["lost"], result["out_of_order"]) == (0, 0, 0), result
    assert (result["violations"], result["faults"]) == ({}, [])
    assert result["kills"] > 0
    assert result["states"] == {"accepted": 600}
    assert done.returncode == 0, result


async def test_a_worker_that_is_asked_to_stop_leaves_no_reply_unsure(world: World) -> None:
    """Meta takes its time, so many are on the wire when the order comes; another worker says the rest."""
    await world.meta.behaves(latency_ms=150)
    sender = await world.a_sender()
    for n in range(PEOPLE):
        await has_written(world, sender, a_phone(n))
    for n in range(PEOPLE * REPLIES_EACH):
        text = Text(f"number {n // PEOPLE}")
        assert isinstance(
            await world.app.replies.queue(NewReply("harbour", a_phone(n % PEOPLE), text)), Queued
        )
    async with world.workers(1, "replies") as [worker]:
        await wait_until(lambda: has_arrived(world, PEOPLE), description="the first are said")
        worker.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(worker.wait, STOP_WITHIN) == 0
    states = {view.state for view in await world.app.replies.recent(1_000)}
    assert states == {MessageState.ACCEPTED, MessageState.PENDING}, "some are said, and none is in doubt"
    assert await world.app.replies.check() == []

    everything = PEOPLE * REPLIES_EACH
    async with world.workers(1, "all"):
        await wait_until(lambda: has_arrived(world, everything), description="the rest is said")
    arrived = await world.meta.arrived(REPLIES)
    for n in range(PEOPLE):
        mine = [each.token.message_id for each in arrived if each.person == a_phone(n)]
        assert mine == sorted(set(mine)), "in order, and none twice"


@pytest.mark.settings(lease_s=2)
async def test_the_conversations_of_a_killed_worker_wait_for_its_lease_and_all_others_go_on(
    world: World,
) -> None:
    """Meta is silent to the first; what was in its hands is unsure, and what is said to others does not wait."""
    sender = await world.a_sender()
    for n in (1, 2):
        await has_written(world, sender, a_phone(n))
    await world.meta.behaves(faults={"silent_accepted": 1.0})
    [silent, behind] = [await queue(world, 1, text) for text in ("one", "two")]
    async with world.workers(1, "replies") as [worker]:
        await wait_until(lambda: has_arrived(world, 1), description="one is on the wire")
        worker.send_signal(signal.SIGKILL)
        await asyncio.to_thread(worker.wait, STOP_WITHIN)
    await world.meta.behaves(faults={})
    async with world.workers(1, "replies"):
        other = await queue(world, 2, "hello")
        await wait_until(lambda: is_in(world, other, MessageState.ACCEPTED), description="the other is said")
        assert await is_in(world, silent, MessageState.CLAIMED)
        async with world.workers(1, "upkeep"):
            await wait_until(lambda: is_in(world, silent, MessageState.UNSURE), description="it is reaped")
            assert await is_in(world, behind, MessageState.PENDING)
            assert await world.app.unsure_replies.settle([silent], MessageState.ACCEPTED) == 1
            await wait_until(
                lambda: is_in(world, behind, MessageState.ACCEPTED), description="those behind it go on"
            )
    assert (await world.meta.record())["duplicates"] == 0


async def queue(world: World, person: int, text: str) -> MessageId:
    answer = await world.app.replies.queue(NewReply("harbour", a_phone(person), Text(text)))
    assert isinstance(answer, Queued)
    return answer.id


async def has_arrived(world: World, at_least: int) -> bool:
    return await world.meta.accepted() >= at_least


async def is_in(world: World, reply: MessageId, state: MessageState) -> bool:
    return (await world.app.replies.view(reply)).state is state
