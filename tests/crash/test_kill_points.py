"""One process is killed at a named point of its work; others go on. At both ends everybody has the message exactly once."""

from __future__ import annotations

import asyncio
import signal
import sys
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from doomed import Point
from support.waiting import wait_until
from support.world import World

from dispatcher import processes
from dispatcher.api import webhooks
from dispatcher.domain.campaign import Campaign
from dispatcher.domain.hold import HoldReason
from dispatcher.domain.pacing import limits_of
from dispatcher.domain.receipt import ReceiptState
from dispatcher.domain.report import Reported
from dispatcher.engine.lane import run_turn
from dispatcher.engine.rebuild import open_pass
from dispatcher.leash import Leash
from dispatcher.processes import api_command, start_api, worker_environment

PEOPLE = 120
CLAIM, GRANT = 40, 20
"""Sizes of a batch and of a sub-batch; posts go one by one, and a turn is over after a batch or two."""
ONE_BY_ONE = pytest.mark.settings(lease_s=2, claim_most=CLAIM, grant_most=GRANT, in_flight=1, slice_s=0.02)
DIES_WITHIN = timedelta(seconds=30)
DOOMED = Path(__file__).with_name("doomed.py")


def exactly(n: int) -> range:
    return range(n, n + 1)


def between(least: int, most: int) -> range:
    return range(least, most + 1)


DEATHS = [
    # Whoever was not granted is certainly not at Meta, and free again.
    (Point.BEFORE_OPEN, 1, exactly(0), exactly(0)),
    (Point.BEFORE_CLAIM, 1, exactly(0), exactly(0)),
    (Point.AFTER_CLAIM, 1, exactly(0), exactly(0)),
    # Whoever was granted and not settled may be there: a sub-batch, less what was settled of it.
    (Point.AFTER_GRANT, 1, exactly(0), exactly(GRANT)),
    (Point.BEFORE_FIRST_BYTE, 7, exactly(6), between(GRANT - 6, GRANT)),
    (Point.AFTER_LAST_BYTE, 7, exactly(7), between(GRANT - 6, GRANT)),
    (Point.AFTER_ANSWER, 7, exactly(7), between(GRANT - 6, GRANT)),
    (Point.AFTER_SETTLE, 1, between(1, PEOPLE), between(0, 2 * GRANT)),
    # Whoever was settled is known.
    (Point.AFTER_CLOSE, 1, between(CLAIM, PEOPLE), exactly(0)),
]
"""Where, the n-th time, how many are at Meta then, and how many are unsure before Meta reports anything."""


@ONE_BY_ONE
@pytest.mark.parametrize(
    ("point", "occasion", "arrived", "unsure"), DEATHS, ids=[str(row[0]) for row in DEATHS]
)
async def test_a_lane_worker_dies(
    world: World, point: Point, occasion: int, arrived: range, unsure: range
) -> None:
    """What was in its hands is unsure until Meta's reports come; the rest goes on with another worker."""
    campaign = await a_campaign_about_to_go(world)
    await world.meta.reports_in_vain()
    await dies(world, point, occasion)
    assert await world.meta.accepted() in arrived
    async with world.workers():
        counts = await world.becomes(campaign)
        there = await world.meta.accepted()
        assert counts.unsure in unsure
        assert counts.accepted + counts.unsure == PEOPLE

        async with world.webhooks():
            await wait_until(
                lambda: is_accepted(world, campaign, there), description="reports settle the unsure"
            )
            assert (await world.counts(campaign)).unsure == PEOPLE - there
            await world.both_ends_agree(campaign)

            # Nobody will ever report of the others; an operator looks at Meta's own figures, and has them sent.
            assert await world.app.unsure.release(campaign.id, None) == PEOPLE - there
            await world.becomes(campaign)
            await everybody_is_reported(world, campaign)
    await everybody_has_it_once(world, campaign)


@ONE_BY_ONE
async def test_without_reports_nobody_who_is_unsure_is_sent_anything_again(world: World) -> None:
    campaign = await a_campaign_about_to_go(world)
    await dies(world, Point.AFTER_LAST_BYTE, 7)
    async with world.workers():
        counts = await world.becomes(campaign)
    assert counts.unsure in between(GRANT - 6, GRANT)
    assert counts.accepted + counts.unsure == PEOPLE
    assert await world.meta.accepted() == PEOPLE - GRANT + 7, "seven of the sub-batch, and all others"
    await world.both_ends_agree(campaign)


@pytest.mark.parametrize(
    ("point", "is_applied"), [(Point.BEFORE_INTAKE_COMMIT, False), (Point.AFTER_INTAKE_COMMIT, True)]
)
async def test_an_intake_worker_dies(world: World, point: Point, is_applied: bool) -> None:
    """A batch and its leaving the inbox are one: all of it has happened, or nothing."""
    await world.a_sender()
    await world.meta.behaves(faults={"closed_accepted": 0.3})
    campaign = await world.a_campaign(people=PEOPLE)
    async with world.webhooks():
        await run_turn(world.app.lane_tools, await world.lane_of(campaign))
        await world.meta.reported()
        bodies = (await world.app.inbox.waiting()).bodies
        unsure = (await world.counts(campaign)).unsure
        assert unsure > 0
        assert bodies >= 2 * PEOPLE

        await dies(world, point, 1)
        assert (await world.app.inbox.waiting()).bodies == (0 if is_applied else bodies)
        assert (await world.counts(campaign)).unsure == (0 if is_applied else unsure)
        async with world.workers(role="intake"):
            await everybody_is_reported(world, campaign)
    await everybody_has_it_once(world, campaign)


async def test_what_a_dead_intake_worker_did_not_tell_the_limits_is_told_by_upkeep(world: World) -> None:
    """Meta has restricted the sender (131048): the ledger knows it, and the limits would go on granting."""
    sender = await world.a_sender()
    campaign = await world.a_campaign(people=5)
    tools = world.app.lane_tools
    async with world.webhooks():
        await world.meta.behaves(webhooks={"failures": {131048: 1.0}})
        await run_turn(tools, await world.lane_of(campaign))
        await world.meta.reported()
        await dies(world, Point.AFTER_INTAKE_COMMIT, 1)
    [(_, [hold])] = await tools.senders.standing()
    assert hold.reason is HoldReason.SENDER_HELD
    known = limits_of(sender, tools.policy)
    assert (await tools.limits.usage(known)).hold is None
    await world.app.upkeep.refresh()
    told = (await tools.limits.usage(known)).hold
    assert told is not None
    assert told.reason is hold.reason


async def test_the_http_process_dies_before_its_200(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it had stored comes again, since Meta repeats what was not answered; it counts once."""
    await world.a_sender()
    await world.meta.behaves(faults={"closed_accepted": 0.3})
    campaign = await world.a_campaign(people=PEOPLE)
    with monkeypatch.context() as patched:
        command = doomed_command(Point.BEFORE_200, 5)
        patched.setattr(processes, "api_command", lambda *where: [*command, *api_command(*where)[3:]])
        first, url = await asyncio.to_thread(start_api, world.app.settings)
    with first:
        await world.meta.reports_to(url + webhooks.PATH)
        await run_turn(world.app.lane_tools, await world.lane_of(campaign))
        assert await asyncio.to_thread(first.wait, DIES_WITHIN) == -signal.SIGKILL
    second, _ = await asyncio.to_thread(start_api, world.app.settings, urlsplit(url).port)
    with second:
        posts = (await world.meta.reported())["posts"]
    assert posts["retried"] > 0
    assert (await world.app.inbox.waiting()).bodies > posts["answers"]["200"], "some are there twice"
    await world.takes_in()
    await everybody_is_reported(world, campaign)
    await everybody_has_it_once(world, campaign)


async def a_campaign_about_to_go(world: World) -> Campaign:
    """A turn that does nothing has made its sender known to the limits: so the first sub-batch is granted whole."""
    await world.meta.behaves(latency_ms=0)
    await world.a_sender()
    campaign = await world.a_campaign(people=PEOPLE)
    tools = world.app.lane_tools
    opened = await tools.turns.open_turn(await world.lane_of(campaign), "nobody", tools.settings.lease)
    assert opened is not None
    await open_pass(tools, opened)
    await tools.turns.close_turn(opened, None)
    return campaign


def doomed_command(point: Point, occasion: int) -> list[str]:
    return [sys.executable, str(DOOMED), point, str(occasion)]


async def dies(world: World, point: Point, occasion: int) -> None:
    """Let a worker work until it has died where it should."""
    log = world.folder / "doomed.log"
    environment = {**worker_environment(world.app.settings), "DISPATCHER_LOG_LEVEL": "info"}
    with (
        log.open("wb") as output,
        Leash(doomed_command(point, occasion), env=environment, output=output) as worker,
    ):
        code = await asyncio.to_thread(worker.wait, DIES_WITHIN)
    said = log.read_text()
    assert (code, said.splitlines()[-1]) == (-signal.SIGKILL, f"dies at {point}"), said


async def is_accepted(world: World, campaign: Campaign, people: int) -> bool:
    return (await world.counts(campaign)).accepted == people


async def everybody_is_reported(world: World, campaign: Campaign) -> None:
    """Wait until all receipts are booked, each once and where it belongs."""

    async def is_reported() -> bool:
        report = await world.app.campaigns.report(campaign.id)
        return report.reported == [Reported(ReceiptState.DELIVERED, None, PEOPLE)]

    await wait_until(is_reported, description="all are delivered, says the ledger")
    assert await world.app.inbox.quarantined(10) == []


async def everybody_has_it_once(world: World, campaign: Campaign) -> None:
    counts = await world.counts(campaign)
    assert counts.accepted == await world.meta.accepted() == PEOPLE
    assert await world.meta.violations() == {}
    await world.both_ends_agree(campaign)
