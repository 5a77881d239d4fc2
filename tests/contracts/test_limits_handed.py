"""The port `Limits` held to its promises: what was handed over, and what is given back."""

from __future__ import annotations

from datetime import timedelta

import pytest
from limits_builders import (
    DAY,
    POOL,
    ManualMs,
    a_full_bucket,
    a_sender,
    a_turn,
    asks_for,
    nobody,
    who_goes,
)
from redis.asyncio import Redis

from dispatcher.domain.errors import EpochLost, LeaseLost
from dispatcher.limits import RedisLimits

# --- what was handed over ---


async def test_granted_messages_are_in_the_handed_set(limits: RedisLimits, clock: ManualMs) -> None:
    turn = await a_full_bucket(limits, clock, a_sender(tier=1))
    asks = asks_for("a", "b")
    await limits.grant(turn, asks)
    assert await limits.reap(POOL, turn.turn_id) == frozenset({asks[0].message_id})


async def test_a_reaped_turn_is_granted_nothing(limits: RedisLimits, clock: ManualMs) -> None:
    turn = await a_full_bucket(limits, clock, a_sender())
    assert await limits.reap(POOL, turn.turn_id) == frozenset()
    with pytest.raises(LeaseLost):
        await limits.grant(turn, asks_for("a"))
    with pytest.raises(LeaseLost):
        await a_turn(limits, a_sender(), turn=turn.turn_id)


async def test_reaping_twice_tells_the_same(limits: RedisLimits, clock: ManualMs) -> None:
    turn = await a_full_bucket(limits, clock, a_sender())
    await limits.grant(turn, asks_for(*range(5)))
    assert await limits.reap(POOL, turn.turn_id) == await limits.reap(POOL, turn.turn_id)


async def test_nobody_knows_what_a_forgotten_turn_handed_over(
    limits: RedisLimits, clock: ManualMs, redis: Redis
) -> None:
    turn = await a_full_bucket(limits, clock, a_sender())
    await redis.flushall()
    assert await limits.reap(POOL, turn.turn_id) is None
    assert await limits.reap(POOL, turn.turn_id) is None


async def test_a_closed_turn_is_granted_nothing(limits: RedisLimits, clock: ManualMs) -> None:
    turn = await a_full_bucket(limits, clock, a_sender())
    await limits.close_turn(turn)
    with pytest.raises(EpochLost):
        await limits.grant(turn, asks_for("a"))


async def test_what_was_given_back_and_granted_again_was_handed_over(
    limits: RedisLimits, clock: ManualMs
) -> None:
    turn = await a_full_bucket(limits, clock, a_sender())
    asks = asks_for("a", "b")
    first = await limits.grant(turn, asks)
    await limits.give_back(turn, first.go, [])
    assert await limits.grant(turn, asks[:1])
    assert await limits.reap(POOL, turn.turn_id) == frozenset({asks[0].message_id})


async def test_a_turn_of_another_memory_tells_nothing(limits: RedisLimits, clock: ManualMs) -> None:
    turn = await a_full_bucket(limits, clock, a_sender())
    await limits.grant(turn, asks_for("a"))
    await limits.rebuild(POOL, [a_sender()], nobody(), force=True)
    assert await limits.reap(POOL, turn.turn_id) is None


# --- giving back ---


async def test_what_was_never_posted_returns_its_reach(limits: RedisLimits, clock: ManualMs) -> None:
    sender = a_sender(tier=1)
    turn = await a_full_bucket(limits, clock, sender)
    first = await limits.grant(turn, asks_for("a"))
    for _ in range(2):  # repeating it changes nothing
        await limits.give_back(turn, first.go, [])
    assert who_goes(await limits.grant(turn, asks_for("b", "c"))) == ["+b"]
    await limits.give_back(turn, first.go, [])
    handed = await limits.reap(POOL, turn.turn_id)
    assert handed is not None
    assert first.go[0].message_id not in handed


async def test_what_is_given_back_late_lets_no_second_burst_through(
    limits: RedisLimits, clock: ManualMs
) -> None:
    """The bucket has been filling since: with its token back it would let a burst and one more go at once."""
    sender = a_sender(rate="1/s", burst=1)
    turn = await a_full_bucket(limits, clock, sender)
    first = await limits.grant(turn, asks_for("a"))
    clock.passes(timedelta(seconds=1))
    assert who_goes(await limits.grant(turn, asks_for("b"))) == ["+b"]
    await limits.give_back(turn, first.go, [])
    assert who_goes(await limits.grant(turn, asks_for("c"))) == []


async def test_a_message_that_meta_refused_returns_its_reach_only(
    limits: RedisLimits, clock: ManualMs
) -> None:
    sender = a_sender(rate="0.001/s", burst=2, tier=1)
    await limits.rebuild(POOL, [sender], nobody())
    clock.passes(timedelta(hours=1))
    turn = await a_turn(limits, sender)
    (granted,) = (await limits.grant(turn, asks_for("a"))).go
    assert granted.reach is not None
    await limits.give_back(turn, [], [granted.reach])
    usage = await limits.usage(sender)
    assert (usage.reach_used, usage.rate_level) == (0, 1)
    assert await limits.reap(POOL, turn.turn_id) == frozenset({granted.message_id})


async def test_a_message_that_meta_refused_stays_a_debt_of_the_pair(
    limits: RedisLimits, clock: ManualMs
) -> None:
    turn = await a_full_bucket(limits, clock, a_sender())
    (granted,) = (await limits.grant(turn, asks_for("a"))).go
    assert granted.reach is not None
    await limits.give_back(turn, [], [granted.reach])
    for _ in range(44):
        assert (await limits.grant(turn, asks_for("a"))).go
    assert (await limits.grant(turn, asks_for("a"))).waits


async def test_giving_back_a_renewal_restores_the_earlier_token(limits: RedisLimits, clock: ManualMs) -> None:
    sender = a_sender()
    turn = await a_full_bucket(limits, clock, sender)
    await limits.grant(turn, asks_for("a"))
    first = clock.now
    clock.passes(timedelta(hours=5))
    (renewed,) = (await limits.grant(turn, asks_for("a"))).go
    assert renewed.reach is not None
    await limits.give_back(turn, [], [renewed.reach])
    assert (await limits.usage(sender)).reach_next == first + DAY


async def test_of_two_messages_in_one_millisecond_one_given_back_leaves_the_other_counted(
    limits: RedisLimits, clock: ManualMs
) -> None:
    sender = a_sender()
    turn = await a_full_bucket(limits, clock, sender)
    (first,) = (await limits.grant(turn, asks_for("a"))).go
    await limits.grant(turn, asks_for("a"))
    assert first.reach is not None
    await limits.give_back(turn, [], [first.reach])
    assert (await limits.usage(sender)).reach_used == 1
