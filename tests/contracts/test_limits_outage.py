"""The port `Limits` held to its promises when the server dies, hangs, or comes back with the memory of a second ago."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from limits_builders import (
    POOL,
    ManualMs,
    a_full_bucket,
    a_sender,
    a_turn,
    asks_for,
    nobody,
    these,
    who_goes,
)
from limits_servers import Valkey, a_valkey
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from dispatcher.domain.errors import EpochLost, LimitsUnavailable
from dispatcher.domain.grant import Reached, SenderLimits, TurnPass
from dispatcher.domain.ids import LaneId, PersonKey, PoolKey, SenderId, TurnId
from dispatcher.limits import RedisLimits


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Valkey]:
    with a_valkey(tmp_path) as server:
        yield server


@pytest.fixture
async def redis(server: Valkey, request: pytest.FixtureRequest) -> AsyncIterator[Redis]:
    client: Redis = Redis.from_url(
        server.url, single_connection_client=getattr(request, "param", "") == "one connection"
    )
    yield client
    await client.aclose()


@pytest.fixture
def limits(redis: Redis, clock: ManualMs) -> RedisLimits:
    return RedisLimits(redis, namespace="test", now_ms=clock)


async def comes_back_as_it_was(server: Valkey, redis: Redis, lost: AsyncIterator[object]) -> None:
    """What `lost` does is done after the last save, so the server that comes back does not know of it."""
    await redis.save()
    async for _ in lost:
        pass
    server.kill()
    await asyncio.to_thread(server.start)


async def granted(limits: RedisLimits, turn: TurnPass, *people: str) -> AsyncIterator[object]:
    yield await limits.grant(turn, asks_for(*people))


# --- a server that comes back with an older memory ---


async def test_a_memory_that_lost_its_last_writes_ends_running_turns(
    server: Valkey, redis: Redis, limits: RedisLimits, clock: ManualMs
) -> None:
    turn = await a_full_bucket(limits, clock, a_sender(tier=1))
    await comes_back_as_it_was(server, redis, granted(limits, turn, "a"))
    with pytest.raises(EpochLost):
        await limits.grant(turn, asks_for("b"))


async def test_no_turn_begins_on_a_memory_that_lost_its_last_writes(
    server: Valkey, redis: Redis, limits: RedisLimits, clock: ManualMs
) -> None:
    turn = await a_full_bucket(limits, clock, a_sender(tier=1))
    await comes_back_as_it_was(server, redis, granted(limits, turn, "a"))
    with pytest.raises(EpochLost):
        await a_turn(limits, a_sender(tier=1))


async def test_nobody_knows_what_was_handed_over_where_the_last_writes_are_lost(
    server: Valkey, redis: Redis, limits: RedisLimits, clock: ManualMs
) -> None:
    turn = await a_full_bucket(limits, clock, a_sender())
    await comes_back_as_it_was(server, redis, granted(limits, turn, "a"))
    assert await limits.reap(POOL, turn.turn_id) is None
    await limits.rebuild(POOL, [a_sender()], nobody())
    assert await limits.reap(POOL, turn.turn_id) is None


async def test_what_was_handed_over_stays_unknown_after_the_rebuild(
    server: Valkey, redis: Redis, limits: RedisLimits, clock: ManualMs
) -> None:
    turn = await a_full_bucket(limits, clock, a_sender())
    await comes_back_as_it_was(server, redis, granted(limits, turn, "a"))
    await limits.rebuild(POOL, [a_sender()], nobody())
    assert await limits.reap(POOL, turn.turn_id) is None


async def test_after_the_rebuild_the_tier_is_exact_and_the_bucket_empty(
    server: Valkey, redis: Redis, limits: RedisLimits, clock: ManualMs
) -> None:
    sender = a_sender(tier=2, rate="1/s", burst=5)
    turn = await a_full_bucket(limits, clock, sender)
    await comes_back_as_it_was(server, redis, granted(limits, turn, "a"))
    in_the_ledger = these(Reached(sender.sender_id, PersonKey("+a"), clock.now))
    await limits.rebuild(POOL, [sender], in_the_ledger)
    usage = await limits.usage(sender)
    assert (usage.reach_used, usage.rate_level) == (1, 0)
    clock.passes(timedelta(seconds=5))
    assert who_goes(await limits.grant(await a_turn(limits, sender), asks_for("b", "c"))) == ["+b"]


async def test_a_grant_notices_also_where_another_pool_has_brought_the_script_back(
    server: Valkey, redis: Redis, limits: RedisLimits, clock: ManualMs
) -> None:
    turn = await a_full_bucket(limits, clock, a_sender(tier=1))
    await comes_back_as_it_was(server, redis, granted(limits, turn, "a"))
    await another_pool_works(limits)
    clock.passes(timedelta(milliseconds=100))
    with pytest.raises(EpochLost):
        await limits.grant(turn, asks_for("b"))


async def another_pool_works(limits: RedisLimits) -> None:
    pool, sender = PoolKey("another"), a_sender(7)
    other = SenderLimits(
        SenderId(7), pool, sender.rate, sender.burst, 0, sender.tier, sender.scope, sender.hold
    )
    await limits.rebuild(pool, [other], nobody())
    turn = await limits.open_turn(pool, other.sender_id, LaneId(7), TurnId(7), 1, 0)
    await limits.grant(turn, asks_for("x"))


async def test_a_restart_in_the_middle_of_a_rebuild_is_noticed(
    server: Valkey, redis: Redis, limits: RedisLimits, clock: ManualMs
) -> None:
    async def restarted_on_the_way() -> AsyncIterator[Sequence[Reached]]:
        yield [Reached(SenderId(1), PersonKey("+a"), clock.now)]
        await comes_back_as_it_was(server, redis, these())
        yield [Reached(SenderId(1), PersonKey("+b"), clock.now)]

    with pytest.raises(EpochLost):
        await limits.rebuild(POOL, [a_sender()], restarted_on_the_way())
    with pytest.raises(EpochLost):
        await a_turn(limits, a_sender())


async def test_a_server_that_may_not_be_asked_its_name_is_not_trusted(server: Valkey, redis: Redis) -> None:
    await redis.execute_command("ACL", "SETUSER", "narrow", "on", "nopass", "~*", "+@all", "-info")
    narrow: Redis = Redis.from_url(server.url, username="narrow", password="any")
    with pytest.raises(ResponseError, match=r"(?i)perm|can't run"):
        await RedisLimits(narrow, namespace="test").rebuild(POOL, [a_sender()], nobody())
    await narrow.aclose()


# --- a server that is gone ---

with_either_client = pytest.mark.parametrize(
    "redis", ["pool of connections", "one connection"], indirect=True
)


@with_either_client
async def test_a_killed_server_is_missed_within_a_second_and_used_within_two_of_its_return(
    server: Valkey, redis: Redis, limits: RedisLimits, clock: ManualMs
) -> None:
    turn = await a_full_bucket(limits, clock, a_sender())
    await limits.grant(turn, asks_for("a"))
    server.kill()
    for _ in range(3):
        asked = time.monotonic()
        with pytest.raises(LimitsUnavailable):
            await limits.grant(turn, asks_for("b"))
        assert time.monotonic() - asked <= 1.2
    await asyncio.to_thread(server.start)
    returned = time.monotonic()
    with pytest.raises(EpochLost):
        await limits.grant(turn, asks_for("b"))
    await limits.rebuild(POOL, [a_sender()], nobody())
    clock.passes(timedelta(seconds=1))
    assert (await limits.grant(await a_turn(limits, a_sender()), asks_for("b"))).go
    assert time.monotonic() - returned <= 2


@with_either_client
async def test_a_server_that_hangs_is_missed_within_a_second_and_used_when_it_goes_on(
    server: Valkey, redis: Redis, limits: RedisLimits, clock: ManualMs
) -> None:
    turn = await a_full_bucket(limits, clock, a_sender())
    server.hang()
    asked = time.monotonic()
    with pytest.raises(LimitsUnavailable):
        await limits.grant(turn, asks_for("a"))
    assert time.monotonic() - asked <= 1.2
    server.go_on()
    assert (await limits.grant(turn, asks_for("b"))).go
