"""Wake-ups of lanes as arq jobs. One job is one turn of a lane, never one message.

A wake-up carries no truth. What is due stands in the ledger, so a wake-up that is lost, or cannot be written while
Redis is away, is made again by upkeep.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from arq.connections import ArqRedis
from arq.constants import in_progress_key_prefix, job_key_prefix
from redis.exceptions import RedisError

from dispatcher.domain.turn import DueLane
from dispatcher.ports import Clock

LANES_QUEUE = "dispatcher:lanes"
"""arq's queue of turns. A sorted set; each job key beside it has arq's lifetime of a day."""
TURN = "turn"
"""The name of the job function."""

FARTHEST = timedelta(minutes=1)
"""Longer waits live in the ledger alone: queued jobs expire, and an idle lane costs nothing."""
MARK_MS = 2_000
"""How much longer a job may be marked as taken when the ledger knows of no turn: far more than a turn takes to begin."""


def job_id(lane: DueLane) -> str:
    """One stable id per lane, so that it is queued once; a new generation frees it from a dead worker's mark."""
    return f"lane:{lane.lane_id}:{lane.generation}"


class ArqJobs:
    """The port `Jobs` on arq."""

    def __init__(self, redis: ArqRedis, clock: Clock, *, namespace: str) -> None:
        self._redis = redis
        self._clock = clock
        self.queue = f"{LANES_QUEUE}:{namespace}"
        self._prefix = namespace

    async def wake(self, lane: DueLane, at: datetime | None = None) -> None:
        """Queue the lane's turn; one that is queued for later is brought forward."""
        now = self._clock.now()
        if at is not None and at - now > FARTHEST:
            return
        name = self._name(lane)
        due = max(at, now) if at is not None else now
        try:
            queued = await self._redis.enqueue_job(
                TURN,
                lane.lane_id,
                _job_id=name,
                _queue_name=self.queue,
                _defer_until=due if due > now else None,
            )
            if queued is None and await self._redis.exists(job_key_prefix + name):
                await self._redis.zadd(self.queue, {name: int(due.timestamp() * 1000)}, xx=True, lt=True)
        except (RedisError, OSError):
            # why nothing more is done: the ledger says when the lane is due, and upkeep looks there.
            return

    async def wake_due(self, lanes: Sequence[DueLane]) -> None:
        """Queue the turns of lanes that are due and are not queued; one question for all of them."""
        if not lanes:
            return
        now_ms = self._clock.now().timestamp() * 1000
        names = [self._name(lane) for lane in lanes]
        try:
            planned = await self._redis.zmscore(self.queue, names)
            late = [name for name, lane in zip(names, lanes, strict=True) if lane.is_overdue]
            await self._shorten_marks(late)
        except (RedisError, OSError):
            return
        for lane, at_ms in zip(lanes, planned, strict=True):
            if at_ms is None or at_ms > now_ms:
                await self.wake(lane)

    async def _shorten_marks(self, names: Sequence[str]) -> None:
        """Have arq's marks of jobs that somebody has taken lapse soon.

        A worker that was killed just before its turn began, or just after it ended, leaves its mark for minutes, and no
        reaping frees the lane. Should the worker be alive all the same, another one finds the lane taken, in the ledger.
        """
        if not names:
            return
        marks = [in_progress_key_prefix + name for name in names]
        async with self._redis.pipeline(transaction=False) as asked:
            for mark in marks:
                asked.pttl(mark)
            left_ms = await asked.execute()
        for mark, ms in zip(marks, left_ms, strict=True):
            if ms > MARK_MS:  # why asked: to shorten it again and again would prolong it
                await self._redis.pexpire(mark, MARK_MS)

    def _name(self, lane: DueLane) -> str:
        return f"{self._prefix}:{job_id(lane)}"
