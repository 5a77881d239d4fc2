"""Wake-ups of the reply lane, in an arq queue of its own: no reply waits for a job of a campaign.

Before the job a bell is rung: the sender's number at the end of a list, which a reply worker takes off at once, without
waiting for arq's next look. On a busy machine that is most of a reply's way. The bell may be lost, with the worker that
took it or because nobody listens; the job is not, and finds a turn that runs already.

A job says which sender to look at, and nothing else. Its id is its own, unlike a lane's: one that is just being done may
have looked before the reply was there, so a wake-up that met it under the same id would be lost. A turn that is
running in the process takes the wake-up over, and then the job has nothing left to do.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection
from datetime import datetime, timedelta

from arq.connections import ArqRedis
from redis.exceptions import RedisError

from dispatcher.domain.ids import SenderId
from dispatcher.ports import Clock
from dispatcher.queues.wakes import FARTHEST

REPLIES_QUEUE = "dispatcher:replies"
"""arq's queue of wake-ups. A sorted set; each job key beside it has arq's lifetime of a day."""
REPLY_TURN = "reply_turn"
"""The name of the job function."""
QUEUED_MOST = 1_000
"""Where so many wake-ups wait, nobody takes them, and upkeep's would help nobody."""

BELL_KEPT = timedelta(minutes=1)
"""Lifetime of rings that nobody heard; upkeep has long found their replies then."""


class ArqReplyJobs:
    """The port `ReplyJobs` on arq."""

    def __init__(self, redis: ArqRedis, clock: Clock, *, namespace: str) -> None:
        self._redis = redis
        self._clock = clock
        self.queue = f"{REPLIES_QUEUE}:{namespace}"
        self.bell = f"{self.queue}:bell"

    async def wake(self, sender_id: SenderId, at: datetime | None = None) -> None:
        """Have a sender's replies looked at."""
        now = self._clock.now()
        if at is not None and at - now > FARTHEST:
            return
        # why suppressed: the reply stands in the ledger, and upkeep looks there every second.
        with contextlib.suppress(RedisError, OSError):
            if at is None or at <= now:
                await self._ring(sender_id)
            await self._redis.enqueue_job(
                REPLY_TURN,
                sender_id,
                _queue_name=self.queue,
                _defer_until=at if at is not None and at > now else None,
            )

    async def wake_due(self, senders: Collection[SenderId]) -> None:
        """Wake senders whose replies are due and have not been looked at, for whatever reason."""
        if not senders:
            return
        with contextlib.suppress(RedisError, OSError):
            if await self._redis.zcard(self.queue) >= QUEUED_MOST:
                return
        for sender_id in senders:
            await self.wake(sender_id)

    async def heard(self, within: timedelta) -> SenderId | None:
        """Whom the bell was rung for; None where it was not within this time, or Redis is away.

        within: well below the client's own time-out for an answer.
        """
        try:
            # why not blpop(): its types know whole seconds only.
            rung = await self._redis.execute_command(  # type: ignore[no-untyped-call]
                "BLPOP", self.bell, within.total_seconds()
            )
        except (RedisError, OSError):
            await asyncio.sleep(within.total_seconds())
            return None
        return None if rung is None else SenderId(int(rung[1]))

    async def _ring(self, sender_id: SenderId) -> None:
        async with self._redis.pipeline(transaction=False) as rung:
            rung.rpush(self.bell, sender_id)
            rung.ltrim(self.bell, -QUEUED_MOST, -1)
            rung.pexpire(self.bell, BELL_KEPT)
            await rung.execute()
