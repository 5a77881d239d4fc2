"""What the limits' contracts run on: fakeredis, a private Valkey, and a cluster of three, with a clock that tests move.

`pytest --hypothesis-profile=nightly tests/contracts/test_limits_model.py` runs the model with 2,000 examples.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from fakeredis import FakeAsyncRedis, FakeServer
from limits_builders import ManualMs
from limits_servers import a_cluster
from redis.asyncio import Redis, RedisCluster

from dispatcher.embedded import EmbeddedValkey
from dispatcher.limits import RedisLimits


@pytest.fixture(scope="session")
def valkey_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = EmbeddedValkey(tmp_path_factory.mktemp("valkey"))
    server.start()
    yield server.url
    server.stop()


@pytest.fixture(scope="session")
def cluster_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with a_cluster(tmp_path_factory.mktemp("cluster")) as url:
        yield url


@pytest.fixture(params=["fakeredis", "valkey", "cluster"])
async def redis(request: pytest.FixtureRequest) -> AsyncIterator[Redis | RedisCluster]:
    client: Redis | RedisCluster
    match request.param:
        case "valkey":
            client = Redis.from_url(request.getfixturevalue("valkey_url"))
        case "cluster":
            client = RedisCluster.from_url(request.getfixturevalue("cluster_url"))
        case _:
            client = FakeAsyncRedis(server=FakeServer())
    await client.flushall()
    yield client
    await client.aclose()


@pytest.fixture
def clock() -> ManualMs:
    return ManualMs()


@pytest.fixture
def limits(redis: Redis | RedisCluster, clock: ManualMs) -> RedisLimits:
    return RedisLimits(redis, namespace="test", now_ms=clock)
