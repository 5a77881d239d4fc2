"""The port `Limits` held to its promises where a worker's clock and Redis' differ by minutes."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from limits_builders import DAY, MS, POOL, ManualMs, a_full_bucket, a_sender, a_turn, asks_for, held
from redis.asyncio import Redis, RedisCluster

from dispatcher.domain.hold import Hold, HoldReason
from dispatcher.domain.ids import PersonKey
from dispatcher.limits import RedisLimits

SECOND = timedelta(seconds=1)


class WrongClock:
    """A worker's clock: it runs as fast as Redis', and shows another time."""

    def __init__(self, right: ManualMs, wrong_by: timedelta) -> None:
        self._right = right
        self._wrong_by = wrong_by

    def now(self) -> datetime:
        return self._right.now + self._wrong_by

    def monotonic(self) -> float:
        return self._right.ms / 1000


@pytest.fixture(params=[timedelta(minutes=7, milliseconds=3), -timedelta(minutes=11)], ids=["fast", "slow"])
def worker(clock: ManualMs, request: pytest.FixtureRequest) -> WrongClock:
    return WrongClock(clock, request.param)


@pytest.fixture
def limits(redis: Redis | RedisCluster, clock: ManualMs, worker: WrongClock) -> RedisLimits:
    return RedisLimits(redis, namespace="test", clock=worker, now_ms=clock)


async def test_a_hold_ends_by_the_workers_clock(
    limits: RedisLimits, clock: ManualMs, worker: WrongClock
) -> None:
    turn = await a_full_bucket(limits, clock, a_sender(rate="10/s", burst=1, tier=2))
    grant = await limits.grant(turn, asks_for("a", "b"))
    assert held(grant) == (HoldReason.RATE, worker.now() + timedelta(milliseconds=100))
    clock.passes(held(grant)[1] - worker.now())
    assert (await limits.grant(turn, asks_for("b"))).go
    assert held(await limits.grant(turn, asks_for("c"))) == (
        HoldReason.TIER_EXHAUSTED,
        worker.now() + DAY - timedelta(milliseconds=100),
    )


async def test_a_pair_waits_by_the_workers_clock(
    limits: RedisLimits, clock: ManualMs, worker: WrongClock
) -> None:
    turn = await a_full_bucket(limits, clock, a_sender())
    for _ in range(45):
        await limits.grant(turn, asks_for("a"))
    (wait,) = (await limits.grant(turn, asks_for("a"))).waits
    assert wait.until == worker.now() + timedelta(seconds=6)


async def test_a_worker_keeps_the_pace_of_the_limit(
    limits: RedisLimits, clock: ManualMs, worker: WrongClock
) -> None:
    """It does what a turn does: asks, and sleeps by its own clock for as long as it is told."""
    turn = await a_full_bucket(limits, clock, a_sender(rate="80/s", burst=2))
    began, sent = worker.now(), 0
    while worker.now() < began + 2 * SECOND:
        grant = await limits.grant(turn, asks_for(*range(sent, sent + 4)))
        sent += len(grant.go)
        clock.passes(held(grant)[1] - worker.now())
    assert 2 * 80 - 1 <= sent <= 2 * 80 + 2


async def test_a_senders_hold_lasts_as_long_as_it_was_said_to(
    limits: RedisLimits, clock: ManualMs, worker: WrongClock
) -> None:
    turn = await a_full_bucket(limits, clock, a_sender())
    hold = Hold(HoldReason.SENDER_HELD, worker.now() + 60 * SECOND, "131048")
    await limits.put_sender(a_sender(hold=hold))
    assert (await limits.grant(turn, asks_for("a"))).hold == hold
    assert (await limits.usage(a_sender())).hold == hold
    clock.passes(60 * SECOND - MS)
    assert not (await limits.grant(turn, asks_for("a"))).go
    clock.passes(MS)
    assert (await limits.grant(turn, asks_for("a"))).go


async def test_a_hold_that_is_over_for_the_worker_is_over(
    limits: RedisLimits, clock: ManualMs, worker: WrongClock
) -> None:
    turn = await a_full_bucket(limits, clock, a_sender())
    await limits.put_sender(a_sender(hold=Hold(HoldReason.SENDER_HELD, worker.now() - SECOND, "131048")))
    assert (await limits.grant(turn, asks_for("a"))).go


async def test_a_refused_pair_is_backed_off_from_as_long_as_it_was_said_to(
    limits: RedisLimits, clock: ManualMs, worker: WrongClock
) -> None:
    sender = a_sender()
    turn = await a_full_bucket(limits, clock, sender)
    until = worker.now() + 16 * SECOND
    await limits.back_off_pair(POOL, sender.sender_id, PersonKey("+a"), until)
    (wait,) = (await limits.grant(turn, asks_for("a"))).waits
    assert wait.until == until
    clock.passes(16 * SECOND)
    assert (await limits.grant(turn, asks_for("a"))).go


async def test_one_incident_is_told_from_the_next_by_the_limits_own_time(
    limits: RedisLimits, clock: ManualMs
) -> None:
    sender = a_sender(rate="80/s", burst=20)
    turn = await a_full_bucket(limits, clock, sender)
    before = await limits.grant(turn, asks_for("a"))
    assert before.granted_at == clock.now
    clock.passes(SECOND)
    assert await limits.slow_down(sender.sender_id, POOL, at=before.granted_at)
    clock.passes(3 * SECOND)
    assert not await limits.slow_down(sender.sender_id, POOL, at=before.granted_at)
    after = await limits.grant(turn, asks_for("b"))
    assert await limits.slow_down(sender.sender_id, POOL, at=after.granted_at)


async def test_usage_tells_times_by_the_workers_clock(
    limits: RedisLimits, clock: ManualMs, worker: WrongClock
) -> None:
    sender = a_sender()
    turn = await a_full_bucket(limits, clock, sender)
    await limits.grant(turn, asks_for("a"))
    await limits.slow_down(sender.sender_id, POOL)
    usage = await limits.usage(sender)
    assert usage.reach_next == worker.now() + DAY
    assert usage.rate_full_at == worker.now() + 40 * SECOND


async def test_tokens_given_back_are_those_of_the_limits_own_time(
    limits: RedisLimits, clock: ManualMs
) -> None:
    sender = a_sender(tier=1)
    turn = await a_full_bucket(limits, clock, sender)
    granted = (await limits.grant(turn, asks_for("a"))).go
    await limits.give_back(turn, granted, [])
    assert (await limits.grant(await a_turn(limits, sender), asks_for("b"))).go
