"""The port `Limits` held to its promises: tier, rate, pair, the sender's state, shares of lanes."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from limits_builders import (
    DAY,
    MS,
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

from dispatcher.domain.errors import EpochLost
from dispatcher.domain.grant import Reached, TurnPass
from dispatcher.domain.hold import Hold, HoldReason
from dispatcher.domain.ids import PersonKey
from dispatcher.domain.reach import LimitScope
from dispatcher.limits import RedisLimits

# --- tier ---


async def test_no_more_people_than_the_tier_and_the_rest_learns_when(
    limits: RedisLimits, clock: ManualMs
) -> None:
    turn = await a_full_bucket(limits, clock, a_sender(tier=2))
    grant = await limits.grant(turn, asks_for("a", "b", "c"))
    assert who_goes(grant) == ["+a", "+b"]
    assert held(grant) == (HoldReason.TIER_EXHAUSTED, clock.now + DAY)


async def test_a_token_comes_back_after_exactly_a_day(limits: RedisLimits, clock: ManualMs) -> None:
    turn = await a_full_bucket(limits, clock, a_sender(tier=1))
    await limits.grant(turn, asks_for("a"))
    clock.passes(DAY - MS)
    assert not (await limits.grant(turn, asks_for("b"))).go
    clock.passes(MS)
    assert who_goes(await limits.grant(turn, asks_for("b"))) == ["+b"]


async def test_a_person_already_reached_goes_when_the_tier_is_full(
    limits: RedisLimits, clock: ManualMs
) -> None:
    turn = await a_full_bucket(limits, clock, a_sender(tier=1))
    await limits.grant(turn, asks_for("a"))
    grant = await limits.grant(turn, asks_for("b", "a"))
    assert who_goes(grant) == ["+a"]
    assert held(grant)[0] is HoldReason.TIER_EXHAUSTED


async def test_a_person_counts_for_a_day_after_the_latest_message(
    limits: RedisLimits, clock: ManualMs
) -> None:
    turn = await a_full_bucket(limits, clock, a_sender(tier=1))
    await limits.grant(turn, asks_for("a"))
    clock.passes(timedelta(hours=23))
    await limits.grant(turn, asks_for("a"))
    again = clock.now
    clock.passes(timedelta(hours=2))
    assert held(await limits.grant(turn, asks_for("b"))) == (HoldReason.TIER_EXHAUSTED, again + DAY)


async def test_inside_a_service_window_nothing_is_counted(limits: RedisLimits, clock: ManualMs) -> None:
    turn = await a_full_bucket(limits, clock, a_sender(tier=1))
    inside = await limits.grant(turn, asks_for("a", "b", costs_reach=False))
    assert [granted.reach for granted in inside.go] == [None, None]
    assert who_goes(await limits.grant(turn, asks_for("c"))) == ["+c"]


async def test_senders_of_a_portfolio_share_its_tier(limits: RedisLimits, clock: ManualMs) -> None:
    one, two = (a_sender(i, tier=2, scope=LimitScope.PORTFOLIO) for i in (1, 2))
    turn = await a_full_bucket(limits, clock, one, two)
    await limits.grant(turn, asks_for("a"))
    grant = await limits.grant(await a_turn(limits, two), asks_for("a", "b", "c"))
    assert who_goes(grant) == ["+a", "+b"]


async def test_senders_with_their_own_tiers_do_not_share(limits: RedisLimits, clock: ManualMs) -> None:
    one, two = a_sender(1, tier=1), a_sender(2, tier=1)
    turn = await a_full_bucket(limits, clock, one, two)
    await limits.grant(turn, asks_for("a"))
    assert who_goes(await limits.grant(await a_turn(limits, two), asks_for("b"))) == ["+b"]


async def test_a_change_of_scope_loses_no_count(limits: RedisLimits, clock: ManualMs) -> None:
    one, two = a_sender(1, tier=2), a_sender(2, tier=2)
    turn = await a_full_bucket(limits, clock, one, two)
    await limits.grant(turn, asks_for("a"))
    await limits.grant(await a_turn(limits, two), asks_for("b"))
    for sender in (one, two):
        await limits.put_sender(replace(sender, scope=LimitScope.PORTFOLIO))
    assert not (await limits.grant(turn, asks_for("c"))).go
    await limits.put_sender(one)
    assert who_goes(await limits.grant(turn, asks_for("c", "d"))) == ["+c"]


async def test_a_tier_lowered_below_what_is_used_waits_for_enough_tokens(
    limits: RedisLimits, clock: ManualMs
) -> None:
    turn = await a_full_bucket(limits, clock, a_sender(tier=3))
    times = []
    for person in ("a", "b", "c"):
        await limits.grant(turn, asks_for(person))
        times.append(clock.now)
        clock.passes(timedelta(hours=1))
    await limits.put_sender(a_sender(tier=2))
    until = held(await limits.grant(turn, asks_for("d")))[1]
    assert until == times[1] + DAY
    clock.reaches(until)
    assert who_goes(await limits.grant(turn, asks_for("d"))) == ["+d"]


async def test_while_more_people_count_than_the_tier_allows_those_wait_too_who_count_already(
    limits: RedisLimits, clock: ManualMs
) -> None:
    """After a loss of Redis people count who were perhaps not messaged: they must not get through for nothing."""
    turn = await a_full_bucket(limits, clock, a_sender(tier=3))
    await limits.grant(turn, asks_for("a", "b", "c"))
    clock.passes(timedelta(hours=1))
    await limits.put_sender(a_sender(tier=2))
    assert held(await limits.grant(turn, asks_for("a")))[0] is HoldReason.TIER_EXHAUSTED
    await limits.put_sender(a_sender(tier=3))
    assert who_goes(await limits.grant(turn, asks_for("a", "d"))) == ["+a"]


async def test_people_of_an_unlimited_tier_are_counted_anew_when_it_ends(
    limits: RedisLimits, clock: ManualMs
) -> None:
    turn = await a_full_bucket(limits, clock, a_sender(tier=None))
    await limits.grant(turn, asks_for("a"))
    limited = a_sender(tier=1)
    await limits.put_sender(limited)
    with pytest.raises(EpochLost):
        await limits.grant(turn, asks_for("b"))
    epoch = await limits.rebuild(
        POOL, [limited], these(Reached(limited.sender_id, PersonKey("+a"), clock.now))
    )
    assert epoch == turn.epoch
    assert held(await limits.grant(turn, asks_for("b"))) == (HoldReason.TIER_EXHAUSTED, clock.now + DAY)


async def test_people_of_an_unlimited_spell_are_not_forgotten(limits: RedisLimits, clock: ManualMs) -> None:
    turn = await a_full_bucket(limits, clock, a_sender(tier=1))
    await limits.put_sender(a_sender(tier=None))
    await limits.put_sender(a_sender(tier=1))
    assert (await limits.grant(turn, asks_for("a"))).go, "nobody was messaged without being counted"
    await limits.put_sender(a_sender(tier=None))
    await limits.grant(turn, asks_for("b"))
    await limits.put_sender(a_sender(tier=1))
    with pytest.raises(EpochLost):
        await limits.grant(turn, asks_for("a"))


async def test_racing_turns_reach_exactly_the_tier(redis: Redis) -> None:
    limits = RedisLimits(redis, namespace="race", timeout=timedelta(seconds=20))
    sender = a_sender(tier=100, rate="1000000/s")
    await limits.rebuild(POOL, [sender], nobody())

    async def race(lane: int) -> int:
        turn = await a_turn(limits, sender, lane=lane)
        grants = [
            await limits.grant(turn, asks_for(*(f"{lane}-{i}-{n}" for n in range(8)))) for i in range(8)
        ]
        return sum(len(grant.go) for grant in grants)

    assert sum(await asyncio.gather(*(race(lane) for lane in range(8)))) == 100


# --- rate, pair, the sender's state ---


async def test_the_burst_goes_at_once_and_the_rest_at_the_rate(limits: RedisLimits, clock: ManualMs) -> None:
    turn = await a_full_bucket(limits, clock, a_sender(rate="10/s", burst=3))
    grant = await limits.grant(turn, asks_for(*"abcde"))
    assert len(grant.go) == 3
    assert held(grant) == (HoldReason.RATE, clock.now + timedelta(milliseconds=100))
    clock.reaches(held(grant)[1])
    assert len((await limits.grant(turn, asks_for(*"de"))).go) == 1


async def test_a_fast_lane_is_told_to_wait_for_a_worthwhile_batch(
    limits: RedisLimits, clock: ManualMs
) -> None:
    turn = await a_full_bucket(limits, clock, a_sender(rate="1000/s", burst=100))
    grant = await limits.grant(turn, asks_for(*range(300)))
    assert held(grant)[1] == clock.now + timedelta(milliseconds=50)


async def test_a_campaign_leaves_the_reserve_to_replies(limits: RedisLimits, clock: ManualMs) -> None:
    sender = a_sender(rate="1/s", burst=10, reserve=4)
    turn = await a_full_bucket(limits, clock, sender)
    assert len((await limits.grant(turn, asks_for(*range(10)))).go) == 6
    assert (await limits.usage(sender)).rate_level == 4


async def test_a_rebuilt_bucket_starts_empty(limits: RedisLimits) -> None:
    sender = a_sender(rate="1/s")
    await limits.rebuild(POOL, [sender], nobody())
    grant = await limits.grant(await a_turn(limits, sender), asks_for("a"))
    assert not grant.go
    assert held(grant)[0] is HoldReason.RATE


async def test_a_new_rate_does_not_apply_to_the_past(limits: RedisLimits, clock: ManualMs) -> None:
    turn = await a_full_bucket(limits, clock, a_sender(rate="1/s", burst=50))
    await limits.grant(turn, asks_for(*range(50)))
    clock.passes(timedelta(seconds=2))
    await limits.put_sender(a_sender(rate="1000/s", burst=50))
    assert len((await limits.grant(turn, asks_for(*range(50, 60)))).go) == 2


async def test_one_person_may_get_45_at_once_and_then_waits_alone(
    limits: RedisLimits, clock: ManualMs
) -> None:
    turn = await a_full_bucket(limits, clock, a_sender())
    for _ in range(45):
        assert (await limits.grant(turn, asks_for("a"))).go
    asks = asks_for("a", "b")
    grant = await limits.grant(turn, asks)
    assert who_goes(grant) == ["+b"]
    assert grant.hold is None
    (wait,) = grant.waits
    assert (wait.message_id, wait.reason) == (asks[0].message_id, HoldReason.PAIR)
    assert wait.until == clock.now + timedelta(seconds=6)
    clock.reaches(wait.until)
    assert (await limits.grant(turn, asks_for("a"))).go


async def test_a_refusal_for_tier_or_pair_costs_no_rate(limits: RedisLimits, clock: ManualMs) -> None:
    sender = a_sender(rate="0.001/s", burst=60, tier=1)
    await limits.rebuild(POOL, [sender], nobody())
    clock.passes(timedelta(days=1))
    turn = await a_turn(limits, sender)
    for _ in range(50):
        await limits.grant(turn, asks_for("a", "b"))
    assert (await limits.usage(sender)).rate_level == 60 - 45


async def test_a_blocked_sender_stops_before_the_next_batch(limits: RedisLimits, clock: ManualMs) -> None:
    turn = await a_full_bucket(limits, clock, a_sender())
    banned = Hold(HoldReason.SENDER_BLOCKED, None, "BANNED")
    await limits.put_sender(a_sender(hold=banned))
    grant = await limits.grant(turn, asks_for("a"))
    assert (grant.go, grant.hold) == ((), banned)
    await limits.put_sender(a_sender())
    assert (await limits.grant(turn, asks_for("a"))).go


async def test_a_hold_ends_by_itself_at_its_time(limits: RedisLimits, clock: ManualMs) -> None:
    turn = await a_full_bucket(limits, clock, a_sender())
    hold = Hold(HoldReason.SENDER_HELD, clock.now + timedelta(seconds=60), "131048")
    await limits.put_sender(a_sender(hold=hold))
    assert (await limits.grant(turn, asks_for("a"))).hold == hold
    clock.passes(timedelta(seconds=60))
    assert (await limits.grant(turn, asks_for("a"))).go


# --- shares of lanes on one sender ---


async def served_within(
    limits: RedisLimits, clock: ManualMs, weights: dict[int, int], seconds: int
) -> dict[int, int]:
    """Lanes that ask equally often, every 10 ms, each time for more than there is."""
    sender = a_sender(rate="80/s", burst=4, tier=None)
    await limits.rebuild(POOL, [sender], nobody())
    turns = {lane: await a_turn(limits, sender, lane=lane, weight=w) for lane, w in weights.items()}
    got = dict.fromkeys(weights, 0)
    for _ in range(seconds * 100):
        clock.ms += 10
        for lane, turn in turns.items():
            got[lane] += len((await limits.grant(turn, asks_for(*range(lane * 100, lane * 100 + 8)))).go)
    return got


async def test_lanes_of_one_sender_share_by_weight(limits: RedisLimits, clock: ManualMs) -> None:
    got = await served_within(limits, clock, {1: 1, 2: 3}, seconds=3)
    quantum = 20
    assert sum(got.values()) >= 3 * 80 - 1, "sharing wastes nothing"
    assert abs(got[1] - 60) <= quantum
    assert abs(got[2] - 180) <= quantum


async def test_a_lane_alone_gets_everything(limits: RedisLimits, clock: ManualMs) -> None:
    assert (await served_within(limits, clock, {1: 1}, seconds=1))[1] >= 79


async def test_a_lane_that_joins_gets_no_credit_for_its_absence(limits: RedisLimits, clock: ManualMs) -> None:
    await served_within(limits, clock, {1: 1}, seconds=2)
    old = await a_turn(limits, a_sender(), lane=1)
    new = await a_turn(limits, a_sender(), lane=2)
    got = [0, 0]
    for _ in range(100):
        clock.ms += 10
        for i, turn in enumerate((new, old)):
            got[i] += len((await limits.grant(turn, asks_for(*range(i * 50, i * 50 + 8)))).go)
    assert abs(got[0] - got[1]) <= 2 * 20


async def two_lanes_of_which_the_second_wants_more(
    limits: RedisLimits, clock: ManualMs
) -> tuple[TurnPass, TurnPass]:
    sender = a_sender(rate="10/s", burst=2, tier=None)
    one = await a_full_bucket(limits, clock, sender)
    two = await a_turn(limits, sender, lane=2)
    assert held(await limits.grant(two, asks_for(*"abc")))[0] is HoldReason.RATE
    return one, two


async def test_a_lane_that_is_done_holds_nobody_up(limits: RedisLimits, clock: ManualMs) -> None:
    one, two = await two_lanes_of_which_the_second_wants_more(limits, clock)
    await limits.close_turn(two)
    for i in range(20):
        clock.passes(timedelta(milliseconds=100))
        assert len((await limits.grant(one, asks_for(f"x{i}", f"y{i}"))).go) == 1


async def test_a_lane_that_fell_silent_holds_up_the_others_for_three_seconds_at_most(
    limits: RedisLimits, clock: ManualMs
) -> None:
    one, _ = await two_lanes_of_which_the_second_wants_more(limits, clock)
    reasons = set()
    for _ in range(31):
        clock.passes(timedelta(milliseconds=100))
        reasons.add(held(await limits.grant(one, asks_for(*"vwxyz")))[0])
    assert HoldReason.FAIR_SHARE in reasons
    clock.passes(timedelta(milliseconds=100))
    assert held(await limits.grant(one, asks_for(*"vwxyz")))[0] is HoldReason.RATE
