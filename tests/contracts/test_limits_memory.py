"""The port `Limits` held to its promises: memory lost and rebuilt, lifetimes, a Redis that fails."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

import pytest
from fakeredis import FakeAsyncRedis, FakeServer
from limits_builders import (
    DAY,
    POOL,
    ManualMs,
    a_full_bucket,
    a_sender,
    a_turn,
    asks_for,
    held,
    nobody,
    these,
    who_goes,
)
from redis.asyncio import Redis

from dispatcher.domain.errors import BadValue, EpochLost, LimitsUnavailable
from dispatcher.domain.grant import Grant, Reached
from dispatcher.domain.hold import Hold, HoldReason
from dispatcher.domain.ids import PersonKey, PoolKey, SenderId, TurnId
from dispatcher.limits import RedisLimits

# --- memory lost and rebuilt ---


async def test_without_a_memory_no_turn_begins(limits: RedisLimits) -> None:
    await limits.put_sender(a_sender())
    with pytest.raises(EpochLost):
        await a_turn(limits, a_sender())
    with pytest.raises(EpochLost):
        await limits.usage(a_sender())


async def test_a_turn_does_not_survive_a_lost_memory(
    limits: RedisLimits, clock: ManualMs, redis: Redis
) -> None:
    turn = await a_full_bucket(limits, clock, a_sender())
    await redis.flushall()
    with pytest.raises(EpochLost):
        await limits.grant(turn, asks_for("a"))
    await limits.rebuild(POOL, [a_sender()], nobody())
    with pytest.raises(EpochLost):
        await limits.grant(turn, asks_for("a"))


async def test_a_rebuilt_pool_knows_whom_it_reached(limits: RedisLimits, clock: ManualMs) -> None:
    sender = a_sender(tier=2)
    old, recent = clock.now - timedelta(hours=25), clock.now - timedelta(hours=20)
    reached = [
        Reached(sender.sender_id, PersonKey(person), at)
        for person, at in (("+a", recent), ("+b", old), ("+a", old))
    ]
    await limits.rebuild(POOL, [sender], these(*reached))
    usage = await limits.usage(sender)
    assert (usage.reach_used, usage.reach_limit, usage.reach_next) == (1, 2, recent + DAY)


async def test_a_rebuild_counts_people_whom_a_turn_of_another_memory_holds_and_no_others(
    limits: RedisLimits, clock: ManualMs
) -> None:
    """Two turns begin on a new pool at once, and one has claimed while the other still reads the ledger.

    The claimed ones once counted as reached by that: then they cost nothing, however many they were.
    """
    harbour, quay = a_sender(tier=3), a_sender(2, tier=3)
    turn = await a_full_bucket(limits, clock, harbour)
    await limits.grant(turn, asks_for("a", "b"))
    held_by_it = [Reached(harbour.sender_id, PersonKey(f"+{n}"), clock.now, turn.turn_id) for n in "abcdef"]
    lost = Reached(quay.sender_id, PersonKey("+x"), clock.now, TurnId(99))
    assert await limits.strangers(POOL, [turn.turn_id, TurnId(99)]) == {99}
    assert await limits.rebuild(POOL, [harbour, quay], these(*held_by_it, lost)) == turn.epoch
    assert (await limits.usage(harbour)).reach_used == 2
    assert (await limits.usage(quay)).reach_used == 1
    assert who_goes(await limits.grant(turn, asks_for("c", "d", "e", "f"))) == ["+c"]


async def test_thousands_of_people_in_one_chunk(limits: RedisLimits, clock: ManualMs) -> None:
    sender = a_sender(tier=10_000)

    async def one_chunk() -> AsyncIterator[Sequence[Reached]]:
        yield [Reached(sender.sender_id, PersonKey(f"+{n}"), clock.now) for n in range(5_001)]

    await limits.rebuild(POOL, [sender], one_chunk())
    assert (await limits.usage(sender)).reach_used == 5_001


async def test_a_standing_memory_is_left_as_it_is(limits: RedisLimits, clock: ManualMs) -> None:
    turn = await a_full_bucket(limits, clock, a_sender())
    unread = these(Reached(SenderId(1), PersonKey("+a"), clock.now))
    assert await limits.rebuild(POOL, [a_sender()], unread) == turn.epoch
    assert [len(chunk) async for chunk in unread] == [1]


async def test_a_forced_rebuild_ends_running_turns_and_keeps_their_tokens(
    limits: RedisLimits, clock: ManualMs
) -> None:
    sender = a_sender()
    turn = await a_full_bucket(limits, clock, sender)
    await limits.grant(turn, asks_for("a"))
    assert await limits.rebuild(POOL, [sender], nobody(), force=True) != turn.epoch
    with pytest.raises(EpochLost):
        await limits.grant(turn, asks_for("b"))
    assert (await limits.usage(sender)).reach_used == 1


async def test_two_rebuilds_at_once_agree(limits: RedisLimits) -> None:
    rebuilds = [limits.rebuild(POOL, [a_sender()], nobody()) for _ in range(5)]
    assert len(set(await asyncio.gather(*rebuilds))) == 1


async def test_a_memory_lost_during_its_rebuild_is_not_taken_for_whole(
    limits: RedisLimits, clock: ManualMs, redis: Redis
) -> None:
    async def lost_on_the_way() -> AsyncIterator[Sequence[Reached]]:
        yield [Reached(SenderId(1), PersonKey("+a"), clock.now)]
        await redis.flushall()

    with pytest.raises(EpochLost):
        await limits.rebuild(POOL, [a_sender()], lost_on_the_way())
    with pytest.raises(EpochLost):
        await a_turn(limits, a_sender())


async def test_a_sender_that_joins_a_pool_is_counted_first(limits: RedisLimits, clock: ManualMs) -> None:
    turn = await a_full_bucket(limits, clock, a_sender(1))
    newcomer = a_sender(2)
    await limits.put_sender(newcomer)
    with pytest.raises(EpochLost):
        await a_turn(limits, newcomer)
    await limits.rebuild(POOL, [a_sender(1), newcomer], nobody())
    await a_turn(limits, newcomer)
    assert (await limits.grant(turn, asks_for("a"))).go


# --- keys, time, failures ---


async def test_every_key_has_a_lifetime_and_the_hash_tag_of_its_pool(
    limits: RedisLimits, clock: ManualMs, redis: Redis
) -> None:
    sender = a_sender(rate="100/s", burst=2)
    turns = [await a_full_bucket(limits, clock, sender), await a_turn(limits, sender, lane=2)]
    for turn in (*turns, *turns):
        last = await limits.grant(turn, asks_for(*range(10)))
        clock.passes(timedelta(milliseconds=10))
    await limits.give_back(turns[1], last.go, [])
    await limits.back_off_pair(POOL, sender.sender_id, PersonKey("+1"), clock.now + timedelta(seconds=4))
    await limits.reap(POOL, turns[1].turn_id)
    keys = [key.decode() async for key in redis.scan_iter()]
    assert len(keys) == 10
    for key in keys:
        assert re.match(r"disp:test:\{portfolio-1\}:", key)
        assert await redis.pttl(key) > 0, key


async def test_without_a_given_time_the_server_tells_it(redis: Redis) -> None:
    limits = RedisLimits(redis, namespace="test", timeout=timedelta(seconds=20))
    sender = a_sender(tier=1, rate="1000000/s")
    await limits.rebuild(POOL, [sender], nobody())
    turn = await a_turn(limits, sender)
    grants = [await limits.grant(turn, asks_for("a", "b")) for _ in range(3)]
    assert any(grant.go for grant in grants)
    seconds, _ = await redis.time()
    assert abs(held(grants[-1])[1].timestamp() - DAY.total_seconds() - seconds) < 60


async def test_usage_tells_the_hold_while_it_lasts(limits: RedisLimits, clock: ManualMs) -> None:
    hold = Hold(HoldReason.SENDER_HELD, clock.now + timedelta(minutes=2), "131048")
    sender = a_sender(tier=None, hold=hold)
    await a_full_bucket(limits, clock, sender)
    usage = await limits.usage(sender)
    assert (usage.hold, usage.reach_limit, usage.rate) == (hold, None, sender.rate)
    clock.passes(timedelta(minutes=2))
    assert (await limits.usage(sender)).hold is None


async def test_what_cannot_be_asked_is_refused_before_redis_sees_it(
    limits: RedisLimits, clock: ManualMs
) -> None:
    turn = await a_full_bucket(limits, clock, a_sender())
    assert await limits.grant(turn, []) == Grant((), (), None)
    with pytest.raises(BadValue):
        await limits.grant(turn, asks_for("a", "a"))
    with pytest.raises(BadValue):
        await limits.grant(turn, asks_for(*range(501)))
    with pytest.raises(BadValue):
        await limits.put_sender(a_sender(burst=5, reserve=5))
    with pytest.raises(BadValue):
        await limits.reap(PoolKey("}"), turn.turn_id)


async def test_a_redis_that_is_gone_grants_nothing() -> None:
    server = FakeServer()
    redis = FakeAsyncRedis(server=server)
    limits = RedisLimits(redis, namespace="test")
    server.connected = False
    with pytest.raises(LimitsUnavailable):
        await limits.put_sender(a_sender())
    await redis.aclose()


async def test_a_redis_that_is_silent_grants_nothing_in_time() -> None:
    silence = asyncio.Event()

    async def listen(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await silence.wait()
        writer.close()

    async with await asyncio.start_server(listen, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        redis: Redis = Redis(host="127.0.0.1", port=port)
        limits = RedisLimits(redis, namespace="test", timeout=timedelta(milliseconds=50))
        with pytest.raises(LimitsUnavailable):
            await limits.put_sender(a_sender())
        silence.set()
        await redis.aclose()


async def test_a_port_where_nobody_listens_grants_nothing() -> None:
    redis: Redis = Redis(host="127.0.0.1", port=1)
    with pytest.raises(LimitsUnavailable):
        await RedisLimits(redis, namespace="test").put_sender(a_sender())
    await redis.aclose()
