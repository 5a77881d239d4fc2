"""A witness outside the ledger: how far Redis has seen it come.

A snapshot that is brought back in its own place looks in every part like the ledger it was taken of. But while it was
away its successor had counted on, and Redis heard of it: a ledger that has come less far than Redis remembers has
forgotten something. The ledger counts first and Redis hears of it afterwards, so Redis never knows more than was true.
Losing Redis loses the witness, never a message. The count is read in `engine/lane.py` and made in `engine/upkeep.py`.
"""

from __future__ import annotations

from datetime import timedelta

from redis.asyncio import Redis
from redis.exceptions import RedisError

from dispatcher.domain.errors import LimitsUnavailable

KEPT = timedelta(days=90)
"""Lifetime of the memory, counted from the last beat; an older backup than that is brought back by nobody unnoticed."""
_PULSE = "pulse"


class RedisWitness:
    """The port `Witness` on Redis or Valkey."""

    def __init__(self, redis: Redis, *, namespace: str) -> None:
        self._redis = redis
        # why a sorted set: only there does the server itself keep the greater of two numbers, without a script.
        self._key = f"dispatcher:witness:{namespace}"

    async def remembered(self) -> int:
        """The highest pulse it was told; 0 when it knows nothing. Raises LimitsUnavailable."""
        try:
            return int(await self._redis.zscore(self._key, _PULSE) or 0)
        except (RedisError, OSError) as error:
            raise LimitsUnavailable(f"Redis does not answer: {error}") from error

    async def remember(self, pulse: int) -> None:
        """Keep a pulse unless a higher one is known. Raises LimitsUnavailable."""
        try:
            await self._redis.zadd(self._key, {_PULSE: pulse}, gt=True)
            await self._redis.pexpire(self._key, KEPT)
        except (RedisError, OSError) as error:
            raise LimitsUnavailable(f"Redis does not answer: {error}") from error
