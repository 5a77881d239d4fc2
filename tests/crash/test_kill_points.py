"""One process is killed at a named point of its work; others go on. At both ends everybody has the message exactly once."""

from __future__ import annotations

import asyncio
import signal
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from doomed import Point
from support.waiting import wait_until
from support.world import World

from dispatcher.domain.campaign import Campaign
from dispatcher.engine.rebuild import open_pass
from dispatcher.leash import Leash
from dispatcher.processes import worker_environment

PEOPLE = 120
CLAIM, GRANT = 40, 20
"""Sizes of a batch and of a sub-batch; and a turn does not begin a third batch."""
DOOMED = Path(__file__).with_name("doomed.py")


def exactly(n: int) -> range:
    return range(n, n + 1)


def up_to(n: int) -> range:
    return range(n + 1)


def doomed_command(point: Point, occasion: int) -> list[str]:
    return [sys.executable, str(DOOMED), point, str(occasion)]


async def dies(world: World, point: Point, occasion: int) -> None:
    """Let a process work until it has died where it should."""
    log = world.folder / "doomed.log"
    environment = {**worker_environment(world.app.settings), "DISPATCHER_LOG_LEVEL": "info"}
    with (
        log.open("wb") as output,
        Leash(doomed_command(point, occasion), env=environment, output=output) as worker,
    ):
        code = await asyncio.to_thread(worker.wait, timedelta(seconds=20))
    said = log.read_text()
    assert (code, said.splitlines()[-1]) == (-signal.SIGKILL, f"dies at {point}"), said


@pytest.mark.settings(lease_s=2, claim_most=CLAIM, grant_most=GRANT, in_flight=1, slice_s=0.02)
@pytest.mark.parametrize(
    ("point", "occasion", "arrived", "unsure"),
    [
        # Whoever was not granted is certainly not at Meta, and free again.
        (Point.BEFORE_OPEN, 1, exactly(0), exactly(0)),
        (Point.BEFORE_CLAIM, 1, exactly(0), exactly(0)),
        (Point.AFTER_CLAIM, 1, exactly(0), exactly(0)),
        # Whoever was granted and not settled may be there: one sub-batch, posted one by one.
        (Point.AFTER_GRANT, 1, exactly(0), exactly(GRANT)),
        (Point.BEFORE_FIRST_BYTE, 7, exactly(6), range(GRANT - 6, GRANT + 1)),
        (Point.AFTER_LAST_BYTE, 7, exactly(7), range(GRANT - 6, GRANT + 1)),
        (Point.AFTER_ANSWER, 7, exactly(7), range(GRANT - 6, GRANT + 1)),
        (Point.AFTER_SETTLE, 1, range(1, PEOPLE), up_to(2 * GRANT)),
        # Whoever was settled is known.
        (Point.AFTER_CLOSE, 1, range(2 * CLAIM, PEOPLE + 1), exactly(0)),
    ],
)
async def test_a_lane_worker_dies(
    world: World, point: Point, occasion: int, arrived: range, unsure: range
) -> None:
    """What was in its hands is unsure until Meta's reports come; the rest goes on with another worker."""
    await world.meta.behaves(latency_ms=0)
    await world.a_sender()
    campaign = await world.a_campaign(people=PEOPLE)
    await a_full_bucket(world, campaign)
    await world.meta.reports_in_vain()
    await dies(world, point, occasion)
    there = await world.meta.accepted()
    assert there in arrived
    async with world.workers(1, "all"):
        counts = await world.becomes(campaign)
        assert counts.unsure in unsure
        assert counts.accepted + counts.unsure == PEOPLE
        there = await world.meta.accepted()

        async with world.webhooks():
            await wait_until(lambda: accepted(world, campaign, there), description="all reports taken in")
            assert (await world.counts(campaign)).unsure == PEOPLE - there
            await world.both_ends_agree(campaign)

            # Nobody will ever report the others; an operator looks at Meta's own figures and has them sent.
            assert await world.app.unsure.release(campaign.id, None) == PEOPLE - there
            await world.becomes(campaign)
    await everybody_has_it_once(world, campaign)


async def a_full_bucket(world: World, campaign: Campaign) -> None:
    """A turn that does nothing makes the sender known to the limits: so the first sub-batch is granted whole."""
    tools = world.app.lane_tools
    opened = await tools.turns.open_turn(await world.lane_of(campaign), "nobody", tools.settings.lease)
    assert opened is not None
    await open_pass(tools, opened)
    await tools.turns.close_turn(opened, None)


async def accepted(world: World, campaign: Campaign, people: int) -> bool:
    return (await world.counts(campaign)).accepted == people


async def everybody_has_it_once(world: World, campaign: Campaign) -> None:
    counts = await world.counts(campaign)
    assert counts.accepted == await world.meta.accepted() == PEOPLE
    assert await world.meta.violations() == {}
    await world.both_ends_agree(campaign)
