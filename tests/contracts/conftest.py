"""What the limits' contracts run on: fakeredis and a private Valkey, with a clock that the test moves."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from fakeredis import FakeAsyncRedis, FakeServer
from limits_builders import ManualMs
from redis.asyncio import Redis

from dispatcher.embedded import EmbeddedValkey
from dispatcher.limits import RedisLimits


@pytest.fixture(scope="session")
def valkey_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = EmbeddedValkey(tmp_path_factory.mktemp("valkey"))
    server.start()
    yield server.url
    server.stop()


@pytest.fixture(params=["fakeredis", "valkey"])
def redis_url(request: pytest.FixtureRequest) -> str | None:
    """None means fakeredis."""
    return str(request.getfixturevalue("valkey_url")) if request.param == "valkey" else None


@pytest.fixture
async def redis(redis_url: str | None) -> AsyncIterator[Redis]:
    client: Redis = Redis.from_url(redis_url) if redis_url else FakeAsyncRedis(server=FakeServer())
    await client.flushall()
    yield client
    await client.aclose()


@pytest.fixture
def clock() -> ManualMs:
    return ManualMs()


@pytest.fixture
def limits(redis: Redis, clock: ManualMs) -> RedisLimits:
    return RedisLimits(redis, namespace="test", now_ms=clock)
