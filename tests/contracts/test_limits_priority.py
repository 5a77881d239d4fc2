"""The port `Limits` held to its promises: campaigns of one sender that are not equally urgent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

import pytest
from limits_builders import ManualMs, a_full_bucket, a_sender, a_turn, asks_for, held
from redis.asyncio import Redis, RedisCluster

from dispatcher.domain.grant import Grant, TurnPass
from dispatcher.domain.hold import HoldReason
from dispatcher.domain.ids import LaneId
from dispatcher.limits import RedisLimits

URGENT, PLAIN, IDLE = 10, 0, -10
MANY, BURST = range(8), 4


async def turns_of(
    limits: RedisLimits, clock: ManualMs, priorities: Sequence[int], *, rate: str = "80/s", burst: int = BURST
) -> Sequence[TurnPass]:
    """One turn per lane, all of one sender whose bucket is full."""
    sender = a_sender(rate=rate, burst=burst, tier=None)
    await a_full_bucket(limits, clock, sender)
    return [await a_turn(limits, sender, lane=n, priority=each) for n, each in enumerate(priorities, 1)]


async def all_want_more(
    limits: RedisLimits, clock: ManualMs, turns: Sequence[TurnPass], span: timedelta, *, every_ms: int = 10
) -> Mapping[LaneId, int]:
    """Each asks so often, in this order, for more than there is. What each lane got."""
    got = dict.fromkeys([turn.lane_id for turn in turns], 0)
    for _ in range(span // timedelta(milliseconds=every_ms)):
        clock.ms += every_ms
        for turn in turns:
            grant = await limits.grant(turn, asks_for(*(f"{turn.lane_id}-{clock.ms}-{n}" for n in MANY)))
            got[turn.lane_id] += len(grant.go)
    return got


@pytest.mark.parametrize(
    ("rate", "every_ms", "seconds"), [("8/s", 100, 10), ("80/s", 10, 2), ("800/s", 5, 1)]
)
@pytest.mark.parametrize("first", [URGENT, PLAIN])
async def test_the_more_urgent_lane_gets_nearly_everything_and_the_other_a_twentieth(
    limits: RedisLimits, clock: ManualMs, rate: str, every_ms: int, seconds: int, first: int
) -> None:
    turns = await turns_of(limits, clock, [URGENT, PLAIN], rate=rate)
    turns = turns if first == URGENT else turns[::-1]
    got = await all_want_more(limits, clock, turns, timedelta(seconds=seconds), every_ms=every_ms)
    per_s = float(rate.removesuffix("/s"))
    quantum = per_s / 4
    assert sum(got.values()) >= per_s * seconds - 1, "order wastes nothing"
    assert (per_s * seconds - quantum) / 21 - 1 <= got[LaneId(2)] <= per_s * seconds / 21 + BURST + 1


async def test_a_larger_weight_does_not_make_up_for_a_lower_priority(
    limits: RedisLimits, clock: ManualMs
) -> None:
    sender = a_sender(rate="80/s", burst=BURST, tier=None)
    await a_full_bucket(limits, clock, sender)
    urgent = await a_turn(limits, sender, lane=1, priority=URGENT)
    heavy = await a_turn(limits, sender, lane=2, priority=PLAIN, weight=1_000)
    got = await all_want_more(limits, clock, [urgent, heavy], timedelta(seconds=2))
    assert 2 * 80 / 21 - 1 <= got[LaneId(2)] <= 2 * 80 / 21 + BURST


async def test_below_a_more_urgent_lane_each_of_the_others_keeps_its_twentieth(
    limits: RedisLimits, clock: ManualMs
) -> None:
    turns = await turns_of(limits, clock, [URGENT, PLAIN, IDLE, PLAIN])
    got = await all_want_more(limits, clock, turns, timedelta(seconds=2))
    for lane in (2, 3, 4):
        assert 2 * 80 / 23 - 2 <= got[LaneId(lane)] <= 2 * 80 / 23 + BURST


async def test_a_lane_gets_everything_as_soon_as_the_more_urgent_one_has_what_it_wants(
    limits: RedisLimits, clock: ManualMs
) -> None:
    urgent, plain = await turns_of(limits, clock, [URGENT, PLAIN])
    await all_want_more(limits, clock, [urgent, plain], timedelta(seconds=1))
    clock.passes(timedelta(milliseconds=50))
    assert (await limits.grant(urgent, asks_for("last"))).hold is None
    clock.passes(timedelta(milliseconds=250))
    got = await all_want_more(limits, clock, [plain], timedelta(seconds=1))
    assert got[LaneId(2)] >= 80


async def test_a_lane_gets_everything_as_soon_as_the_more_urgent_one_has_ended_its_turn(
    limits: RedisLimits, clock: ManualMs
) -> None:
    urgent, plain = await turns_of(limits, clock, [URGENT, PLAIN])
    await all_want_more(limits, clock, [urgent, plain], timedelta(seconds=1))
    await limits.close_turn(urgent)
    got = await all_want_more(limits, clock, [plain], timedelta(seconds=1))
    assert got[LaneId(2)] >= 80


async def test_a_more_urgent_lane_that_begins_is_given_way_at_once(
    limits: RedisLimits, clock: ManualMs
) -> None:
    urgent, plain = await turns_of(limits, clock, [URGENT, PLAIN])
    await all_want_more(limits, clock, [plain], timedelta(seconds=1))
    got = await all_want_more(limits, clock, [urgent, plain], timedelta(seconds=1))
    assert got[LaneId(1)] >= 70


async def outranked(limits: RedisLimits, urgent: TurnPass, plain: TurnPass) -> Grant:
    """Both have asked for more than there is, and the less urgent one has had its message."""
    assert held(await limits.grant(urgent, asks_for(*MANY)))[0] is HoldReason.RATE
    return await limits.grant(plain, asks_for("x", "y"))


async def test_waiting_as_long_as_told_is_enough_if_the_more_urgent_lane_takes_its_share_meanwhile(
    limits: RedisLimits, clock: ManualMs
) -> None:
    urgent, plain = await turns_of(limits, clock, [URGENT, PLAIN], rate="50/s", burst=1)
    assert (await outranked(limits, urgent, plain)).hold
    clock.passes(timedelta(milliseconds=20))
    grant = await limits.grant(plain, asks_for("x", "y"))
    assert len(grant.go) == 1
    reason, until = held(grant)
    assert (reason, until) == (HoldReason.FAIR_SHARE, clock.now + timedelta(seconds=20 / 50))
    while clock.now < until:
        clock.passes(timedelta(milliseconds=20))
        await limits.grant(urgent, asks_for(*MANY))
    clock.passes(timedelta(milliseconds=20))
    assert (await limits.grant(plain, asks_for("y"))).go


async def test_a_lane_whose_turn_ended_for_its_wait_goes_on_when_that_is_over(
    limits: RedisLimits, clock: ManualMs
) -> None:
    """At a low rate each wait is longer than a turn keeps still, and it never starves all the same."""
    urgent, plain = await turns_of(limits, clock, [URGENT, PLAIN], rate="4/s", burst=1)
    await outranked(limits, urgent, plain)
    got = 0
    for _ in range(5):
        clock.passes(timedelta(milliseconds=250))
        grant = await limits.grant(plain, asks_for("x", "y"))
        got += len(grant.go)
        reason, until = held(grant)
        assert reason is HoldReason.FAIR_SHARE
        assert until - clock.now == timedelta(seconds=5)
        await limits.close_turn(plain)
        while clock.now < until:
            clock.passes(timedelta(milliseconds=250))
            await limits.grant(urgent, asks_for(*MANY))
        plain = await a_turn(limits, a_sender(), lane=2, priority=PLAIN)
    assert got == 5


async def test_a_lane_that_fell_silent_holds_up_a_more_urgent_one_no_longer_than_an_equal(
    limits: RedisLimits, clock: ManualMs
) -> None:
    urgent, plain = await turns_of(limits, clock, [URGENT, PLAIN], rate="10/s", burst=1)
    clock.passes(timedelta(milliseconds=100))
    until = held(await outranked(limits, urgent, plain))[1]
    clock.reaches(until + timedelta(seconds=3))
    grant = await limits.grant(urgent, asks_for(*MANY))
    assert (len(grant.go), held(grant)[0]) == (1, HoldReason.RATE)


async def test_a_reply_goes_before_the_most_urgent_campaign(limits: RedisLimits, clock: ManualMs) -> None:
    sender = a_sender(rate="10/s", burst=2, reserve=1)
    await a_full_bucket(limits, clock, sender)
    urgent = await a_turn(limits, sender, lane=1, priority=1_000)
    replies = await a_turn(limits, sender, lane=2, priority=-1_000)
    assert held(await limits.grant(urgent, asks_for(*MANY)))[0] is HoldReason.RATE
    assert (await limits.grant(replies, asks_for("a", costs_reach=False), is_reply=True)).go


async def test_nothing_is_remembered_of_priorities_while_nobody_competes(
    limits: RedisLimits, clock: ManualMs, redis: Redis | RedisCluster
) -> None:
    (urgent,) = await turns_of(limits, clock, [URGENT])
    await limits.grant(urgent, asks_for("a"))
    assert not [key async for key in redis.scan_iter("*:hungry:*")]
    assert not [key async for key in redis.scan_iter("*:served:*")]
