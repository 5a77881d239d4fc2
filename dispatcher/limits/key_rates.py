"""How fast each API key is used: a bucket per key in Redis, shared by all HTTP processes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from dispatcher.domain.access import ApiKey
from dispatcher.limits.keys import API_KEY, api_key
from dispatcher.limits.run import Client, Runner
from dispatcher.limits.times import in_ms


class RedisKeyRates:
    """The port `KeyRates` on Redis. now_ms: only for tests; None asks the server."""

    def __init__(
        self, redis: Client, *, namespace: str, timeout: timedelta, now_ms: Callable[[], int] | None = None
    ) -> None:
        self._run = Runner(redis, timeout).run
        self._namespace = namespace
        self._now_ms = now_ms

    async def take(self, key: ApiKey) -> timedelta | None:
        """Count one call. None: it may go on; otherwise when to come again. Raises LimitsUnavailable.

        Cost: one round trip.
        """
        now = "" if self._now_ms is None else self._now_ms()
        arguments = (now, key.rate.milli_per_s, key.burst, in_ms(API_KEY))
        wait_ms: int = await self._run("key_rate", [api_key(self._namespace, key.id)], arguments)
        return timedelta(milliseconds=wait_ms) if wait_ms else None
