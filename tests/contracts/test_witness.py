"""The promises of the port `Witness`, held by Redis or Valkey."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from redis.asyncio import Redis

from dispatcher.domain.errors import LimitsUnavailable
from dispatcher.queues.witness import RedisWitness


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[Redis]:
    """On an empty server."""
    async with Redis.from_url(redis_url) as client:
        yield client


async def test_the_greatest_pulse_is_remembered_whatever_comes_later(client: Redis) -> None:
    witness = RedisWitness(client, namespace="a")
    assert await witness.remembered() == 0
    for pulse in (3, 1_000_000_007, 4):
        await witness.remember(pulse)
    assert await witness.remembered() == 1_000_000_007
    assert await RedisWitness(client, namespace="b").remembered() == 0


async def test_nothing_is_remembered_for_ever(client: Redis) -> None:
    await RedisWitness(client, namespace="a").remember(1)
    [key] = await client.keys()
    assert timedelta(days=89) < timedelta(seconds=await client.ttl(key)) <= timedelta(days=90)


async def test_a_redis_that_is_away_is_said_to_be() -> None:
    async with Redis.from_url("redis://127.0.0.1:1/0") as nowhere:
        witness = RedisWitness(nowhere, namespace="a")
        with pytest.raises(LimitsUnavailable):
            await witness.remembered()
        with pytest.raises(LimitsUnavailable):
            await witness.remember(1)
