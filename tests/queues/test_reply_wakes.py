"""Wake-ups of the reply lane: none is swallowed by another, and none is the truth."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from arq.connections import ArqRedis

from dispatcher.clock import SystemClock
from dispatcher.domain.ids import SenderId
from dispatcher.queues.reply_wakes import BELL_KEPT, QUEUED_MOST, ArqReplyJobs
from dispatcher.queues.wakes import FARTHEST

HARBOUR, QUAY = SenderId(1), SenderId(2)
MOMENT = timedelta(milliseconds=50)


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[ArqRedis]:
    client = ArqRedis.from_url(redis_url)
    yield client
    await client.aclose(close_connection_pool=True)


@pytest.fixture
def jobs(redis: ArqRedis) -> ArqReplyJobs:
    return ArqReplyJobs(redis, SystemClock(), namespace="test")


async def test_each_wake_up_is_a_job_of_its_own(redis: ArqRedis, jobs: ArqReplyJobs) -> None:
    """One that is just being done may have looked before the reply was there."""
    for _ in range(3):
        await jobs.wake(HARBOUR)
    queued = await redis.queued_jobs(queue_name=jobs.queue)
    assert [(job.function, job.args) for job in queued] == [("reply_turn", (HARBOUR,))] * 3


async def test_the_bell_is_heard_once_and_in_order(redis: ArqRedis, jobs: ArqReplyJobs) -> None:
    for sender in (HARBOUR, QUAY):
        await jobs.wake(sender)
    assert [await jobs.heard(MOMENT) for _ in range(3)] == [HARBOUR, QUAY, None]


async def test_who_waits_at_the_bell_hears_it_at_once(jobs: ArqReplyJobs) -> None:
    waiting = asyncio.create_task(jobs.heard(timedelta(seconds=60)))
    await jobs.wake(HARBOUR)
    assert await asyncio.wait_for(waiting, 30) == HARBOUR


async def test_a_bell_that_nobody_hears_has_a_lifetime_and_a_bound(
    redis: ArqRedis, jobs: ArqReplyJobs
) -> None:
    await redis.rpush(jobs.bell, *range(QUEUED_MOST))
    await jobs.wake(HARBOUR)
    assert await redis.llen(jobs.bell) == QUEUED_MOST
    assert 0 < await redis.pttl(jobs.bell) <= BELL_KEPT.total_seconds() * 1000


async def test_no_bell_is_rung_for_later(redis: ArqRedis, jobs: ArqReplyJobs) -> None:
    await jobs.wake(HARBOUR, SystemClock().now() + timedelta(seconds=30))
    assert await redis.llen(jobs.bell) == 0


async def test_a_wake_up_for_later_waits_for_its_time(redis: ArqRedis, jobs: ArqReplyJobs) -> None:
    at = SystemClock().now() + timedelta(seconds=30)
    await jobs.wake(HARBOUR, at)
    [(_, due_ms)] = await redis.zrange(jobs.queue, 0, -1, withscores=True)
    assert abs(due_ms / 1000 - at.timestamp()) < 1


async def test_long_waits_are_left_to_the_ledger(redis: ArqRedis, jobs: ArqReplyJobs) -> None:
    await jobs.wake(HARBOUR, SystemClock().now() + FARTHEST + timedelta(seconds=5))
    assert await redis.zcard(jobs.queue) == 0


async def test_where_nobody_works_the_queue_does_not_grow_for_ever(
    redis: ArqRedis, jobs: ArqReplyJobs
) -> None:
    await jobs.wake_due([HARBOUR, QUAY])
    assert await redis.zcard(jobs.queue) == 2
    await redis.zadd(jobs.queue, {f"waiting {n}": n for n in range(QUEUED_MOST)})
    await jobs.wake_due([HARBOUR, QUAY])
    assert await redis.zcard(jobs.queue) == QUEUED_MOST + 2


async def test_a_wake_up_that_cannot_be_written_is_no_error(jobs: ArqReplyJobs, redis: ArqRedis) -> None:
    """Upkeep finds the reply in the ledger."""
    away = ArqReplyJobs(ArqRedis(host="127.0.0.1", port=1), SystemClock(), namespace="test")
    await away.wake(HARBOUR)
    await away.wake_due([HARBOUR])
    assert await away.heard(MOMENT) is None
    assert await redis.zcard(jobs.queue) == 0
