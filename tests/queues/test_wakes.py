"""Wake-ups: queued once, brought forward, never put off, and never the truth."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest
from arq.connections import ArqRedis
from arq.constants import in_progress_key_prefix

from dispatcher.clock import SystemClock
from dispatcher.domain.ids import LaneId
from dispatcher.domain.turn import DueLane
from dispatcher.queues.wakes import FARTHEST, MARK_MS, ArqJobs

LANE = DueLane(LaneId(7), 0)
SECOND = timedelta(seconds=1)


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[ArqRedis]:
    client = ArqRedis.from_url(redis_url)
    yield client
    await client.aclose(close_connection_pool=True)


@pytest.fixture
def jobs(redis: ArqRedis) -> ArqJobs:
    return ArqJobs(redis, SystemClock(), namespace="test")


async def queued(redis: ArqRedis, jobs: ArqJobs) -> dict[str, float]:
    """Job id → when, in seconds since 1970."""
    return {name.decode(): ms / 1000 for name, ms in await redis.zrange(jobs.queue, 0, -1, withscores=True)}


async def test_a_lane_is_queued_once_however_often_it_is_woken(redis: ArqRedis, jobs: ArqJobs) -> None:
    for _ in range(3):
        await jobs.wake(LANE)
    assert list(await queued(redis, jobs)) == ["test:lane:7:0"]


async def test_a_lane_of_a_new_generation_is_another_job(redis: ArqRedis, jobs: ArqJobs) -> None:
    """So the mark that a killed worker left at arq does not block it."""
    await jobs.wake(LANE)
    await jobs.wake(DueLane(LANE.lane_id, 1))
    assert len(await queued(redis, jobs)) == 2


async def test_the_mark_of_a_worker_that_died_without_a_turn_lapses_soon(
    redis: ArqRedis, jobs: ArqJobs
) -> None:
    """Killed between arq and the ledger: there is no turn to be reaped, and so no new generation."""
    await jobs.wake(LANE)
    mark = in_progress_key_prefix + "test:lane:7:0"
    await redis.psetex(mark, 130_000, b"1")
    await jobs.wake(LANE)
    assert await redis.pttl(mark) > 100_000, "perhaps its turn is running"
    await jobs.wake_due([LANE])
    assert await redis.pttl(mark) > 100_000, "it may only just have been taken"
    overdue = replace(LANE, is_overdue=True)
    await jobs.wake_due([overdue])
    assert 0 < await redis.pttl(mark) <= MARK_MS
    await redis.pexpire(mark, 500)
    await jobs.wake_due([overdue])
    assert await redis.pttl(mark) <= 500, "and is not prolonged by looking again"


async def test_a_wake_up_is_brought_forward_and_never_put_off(redis: ArqRedis, jobs: ArqJobs) -> None:
    now = SystemClock().now()
    for seconds in (30, 10, 20):
        await jobs.wake(LANE, now + seconds * SECOND)
    [at] = (await queued(redis, jobs)).values()
    assert at == pytest.approx(now.timestamp() + 10, abs=0.01)
    await jobs.wake(LANE)
    [at] = (await queued(redis, jobs)).values()
    assert at < now.timestamp() + 5


async def test_due_lanes_are_queued_where_they_are_not_and_brought_forward(
    redis: ArqRedis, jobs: ArqJobs
) -> None:
    now = SystemClock().now()
    missing, waiting, there = (DueLane(LaneId(n), 0) for n in (1, 2, 3))
    await jobs.wake(waiting, now + 30 * SECOND)
    await jobs.wake(there)
    await jobs.wake_due([missing, waiting, there])
    times = await queued(redis, jobs)
    assert sorted(times) == [f"test:lane:{n}:0" for n in (1, 2, 3)]
    assert max(times.values()) < now.timestamp() + 5


async def test_long_waits_are_left_to_the_ledger(redis: ArqRedis, jobs: ArqJobs) -> None:
    await jobs.wake(LANE, SystemClock().now() + FARTHEST + SECOND)
    assert await queued(redis, jobs) == {}


async def test_a_redis_that_is_away_loses_a_wake_up_and_nothing_else() -> None:
    client = ArqRedis.from_url("unix:///nowhere/redis.sock")
    jobs = ArqJobs(client, SystemClock(), namespace="test")
    await jobs.wake(LANE)
    await jobs.wake_due([LANE])
    await client.aclose(close_connection_pool=True)


async def test_every_key_has_a_lifetime_or_is_the_queue(redis: ArqRedis, jobs: ArqJobs) -> None:
    await jobs.wake(LANE)
    for key in await redis.keys("*"):
        assert key.decode() == jobs.queue or await redis.pttl(key) > 0
