"""Clients for the Redis that has arq's queues."""

from __future__ import annotations

from arq.connections import ArqRedis
from redis.exceptions import RedisError

from dispatcher.domain.errors import LimitsUnavailable


def client(url: str, timeout_s: float) -> ArqRedis:
    """A client that connects when it is used; whoever makes one closes it."""
    made: ArqRedis = ArqRedis.from_url(url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s)
    return made


async def open_client(url: str, timeout_s: float) -> ArqRedis:
    """A client of a server that answers. Raises LimitsUnavailable."""
    redis = client(url, timeout_s)
    try:
        await redis.ping()
    except (RedisError, OSError) as error:
        await redis.aclose(close_connection_pool=True)
        raise LimitsUnavailable(
            f"Redis cannot be reached: {error}",
            hint="is DISPATCHER_REDIS_URL right, and the server up? `dispatch doctor` looks into it",
        ) from error
    return redis


async def version(url: str, timeout_s: float) -> str:
    """Which server answers there, such as "Valkey 9.1.0". Raises LimitsUnavailable."""
    redis = await open_client(url, timeout_s)
    try:
        info = await redis.info("server")
    finally:
        await redis.aclose(close_connection_pool=True)
    if "valkey_version" in info:
        return f"Valkey {info['valkey_version']}"
    return f"Redis {info['redis_version']}"
