"""The port `Limits` held to its promises: a rate that adapts, replies and what comes in, a pair that Meta refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from limits_builders import (
    MS,
    POOL,
    ManualMs,
    a_full_bucket,
    a_sender,
    a_turn,
    asks_for,
    held,
    nobody,
    who_goes,
)

from dispatcher.domain.errors import BadValue
from dispatcher.domain.grant import SenderLimits, TurnPass
from dispatcher.domain.hold import HoldReason
from dispatcher.domain.ids import PersonKey, SenderId
from dispatcher.domain.rate import Rate
from dispatcher.limits import RedisLimits

SECOND = timedelta(seconds=1)
STEP = timedelta(seconds=5)


async def rate_of(limits: RedisLimits, sender: SenderLimits) -> float:
    return (await limits.usage(sender)).rate.per_s


async def sent_within(limits: RedisLimits, clock: ManualMs, turn: TurnPass, span: timedelta) -> int:
    """A lane that asks every 10 ms for more than there is."""
    sent = 0
    for n in range(span // timedelta(milliseconds=10)):
        clock.passes(timedelta(milliseconds=10))
        sent += len((await limits.grant(turn, asks_for(*(f"{clock.ms}-{n}-{i}" for i in range(10))))).go)
    return sent


# --- a rate that adapts ---


async def test_a_refused_sender_pauses_a_second_and_goes_on_at_half_its_rate(
    limits: RedisLimits, clock: ManualMs
) -> None:
    sender = a_sender(rate="80/s", burst=20)
    turn = await a_full_bucket(limits, clock, sender)
    assert await limits.slow_down(sender.sender_id, POOL)
    assert await sent_within(limits, clock, turn, SECOND) == 0
    assert await sent_within(limits, clock, turn, SECOND) == 40


async def test_the_rate_comes_back_by_a_sixteenth_every_five_seconds(
    limits: RedisLimits, clock: ManualMs
) -> None:
    sender = a_sender(rate="80/s", burst=20)
    await a_full_bucket(limits, clock, sender)
    await limits.slow_down(sender.sender_id, POOL)
    usage = await limits.usage(sender)
    assert (usage.rate, usage.rate_cause) == (Rate.parse("40/s"), "130429")
    assert usage.rate_full_at == clock.now + 8 * STEP
    clock.passes(STEP - MS)
    assert await rate_of(limits, sender) == 40
    clock.passes(MS)
    assert await rate_of(limits, sender) == 45
    clock.reaches(usage.rate_full_at)
    whole = await limits.usage(sender)
    assert (whole.rate, whole.rate_cause, whole.rate_full_at) == (sender.rate, "", None)


async def test_while_it_comes_back_each_step_gives_just_its_own_rate(
    limits: RedisLimits, clock: ManualMs
) -> None:
    sender = a_sender(rate="16/s", burst=1_000, tier=10_000)
    await a_full_bucket(limits, clock, sender)
    await limits.slow_down(sender.sender_id, POOL)
    clock.passes(SECOND)  # the pause
    clock.passes(8 * STEP - SECOND)
    expected = 5 * sum(range(8, 16)) - 8
    assert (await limits.usage(sender)).rate_level == expected


async def test_many_answers_of_one_incident_halve_once(limits: RedisLimits, clock: ManualMs) -> None:
    sender = a_sender(rate="80/s", burst=20)
    turn = await a_full_bucket(limits, clock, sender)
    grant = await limits.grant(turn, asks_for(*range(10)))
    answers = []
    for _ in range(10):
        clock.passes(timedelta(milliseconds=100))
        answers.append(await limits.slow_down(sender.sender_id, POOL, at=grant.granted_at))
    clock.passes(3 * SECOND)
    answers.append(await limits.slow_down(sender.sender_id, POOL, at=grant.granted_at))
    assert answers == [True] + [False] * 10
    assert await rate_of(limits, sender) == 40


async def test_an_incident_lasts_two_seconds(limits: RedisLimits, clock: ManualMs) -> None:
    sender = a_sender(rate="80/s", burst=20)
    await a_full_bucket(limits, clock, sender)
    assert await limits.slow_down(sender.sender_id, POOL)
    clock.passes(2 * SECOND - MS)
    assert not await limits.slow_down(sender.sender_id, POOL, at=clock.now)
    clock.passes(MS)
    assert await limits.slow_down(sender.sender_id, POOL, at=clock.now)


async def test_a_new_incident_halves_again_down_to_a_sixteenth(limits: RedisLimits, clock: ManualMs) -> None:
    sender = a_sender(rate="80/s", burst=20)
    await a_full_bucket(limits, clock, sender)
    rates = []
    for _ in range(6):
        assert await limits.slow_down(sender.sender_id, POOL, at=clock.now)
        rates.append(await rate_of(limits, sender))
        clock.passes(2 * SECOND)
    assert rates[:5] == [40, 20, 10, 5, 5]


@pytest.mark.parametrize(("rate", "slowest"), [("10/s", 1), ("0.5/s", 0.5)])
async def test_nobody_is_slowed_below_a_message_a_second(
    limits: RedisLimits, clock: ManualMs, rate: str, slowest: float
) -> None:
    sender = a_sender(rate=rate, burst=5)
    await a_full_bucket(limits, clock, sender)
    for _ in range(6):
        await limits.slow_down(sender.sender_id, POOL)
        clock.passes(2 * SECOND)
    assert await rate_of(limits, sender) == slowest


async def test_slowness_outlives_a_change_of_the_sender_and_names_both_causes(
    limits: RedisLimits, clock: ManualMs
) -> None:
    sender = a_sender(rate="80/s", burst=20)
    await a_full_bucket(limits, clock, sender)
    await limits.slow_down(sender.sender_id, POOL)
    flagged = replace(sender, rate=Rate.parse("40/s"), rate_cause="FLAGGED")
    await limits.put_sender(flagged)
    usage = await limits.usage(flagged)
    assert (usage.rate.per_s, usage.rate_cause) == (20, "FLAGGED, 130429")


async def test_a_clock_set_back_does_not_keep_a_sender_slow(limits: RedisLimits, clock: ManualMs) -> None:
    sender = a_sender(rate="80/s", burst=20)
    turn = await a_full_bucket(limits, clock, sender)
    await limits.slow_down(sender.sender_id, POOL)
    clock.passes(-timedelta(hours=1))
    await limits.grant(turn, asks_for("a"))
    clock.passes(8 * STEP)
    assert await rate_of(limits, sender) == 80


async def test_an_unknown_sender_cannot_be_slowed(limits: RedisLimits) -> None:
    assert not await limits.slow_down(SenderId(99), POOL)


# --- replies, and what comes in ---


async def test_a_reply_takes_from_the_reserve_that_campaigns_leave(
    limits: RedisLimits, clock: ManualMs
) -> None:
    sender = a_sender(rate="1/s", burst=10, reserve=4)
    turn = await a_full_bucket(limits, clock, sender)
    replies = await a_turn(limits, sender, lane=2)
    assert len((await limits.grant(turn, asks_for(*range(10)))).go) == 6
    grant = await limits.grant(replies, asks_for(*"abcde", costs_reach=False), is_reply=True)
    assert len(grant.go) == 4
    assert held(grant) == (HoldReason.RATE, clock.now + SECOND)


async def test_a_reply_goes_before_a_campaign_when_one_token_is_left(
    limits: RedisLimits, clock: ManualMs
) -> None:
    sender = a_sender(rate="1/s", burst=2, reserve=1)
    turn = await a_full_bucket(limits, clock, sender)
    await limits.grant(turn, asks_for("a"))
    assert not (await limits.grant(turn, asks_for("b"))).go
    assert (await limits.grant(turn, asks_for("c", costs_reach=False), is_reply=True)).go


async def test_a_reply_costs_no_reach_and_goes_when_the_tier_is_full(
    limits: RedisLimits, clock: ManualMs
) -> None:
    sender = a_sender(tier=1)
    turn = await a_full_bucket(limits, clock, sender)
    await limits.grant(turn, asks_for("a"))
    (reply,) = (await limits.grant(turn, asks_for("b", costs_reach=False), is_reply=True)).go
    assert reply.reach is None
    assert (await limits.usage(sender)).reach_used == 1


async def test_a_reply_is_never_held_up_by_the_shares_of_campaigns(
    limits: RedisLimits, clock: ManualMs
) -> None:
    sender = a_sender(rate="10/s", burst=4, reserve=3)
    one = await a_full_bucket(limits, clock, sender)
    two = await a_turn(limits, sender, lane=2)
    for turn in (one, two, one, two):
        await limits.grant(turn, asks_for(*range(9)))
    replies = await a_turn(limits, sender, lane=3)
    for _ in range(20):
        clock.passes(timedelta(milliseconds=100))
        grant = await limits.grant(replies, asks_for(*"xy", costs_reach=False), is_reply=True)
        assert grant.hold is None or grant.hold.reason is HoldReason.RATE
        await limits.grant(one, asks_for(*range(20, 30)))


async def test_what_comes_in_uses_up_the_rate(limits: RedisLimits, clock: ManualMs) -> None:
    sender = a_sender(rate="80/s", burst=20)
    turn = await a_full_bucket(limits, clock, sender)
    await limits.count_inbound(POOL, sender.sender_id, 15)
    assert len((await limits.grant(turn, asks_for(*range(20)))).go) == 5


async def test_a_flood_is_a_debt_of_a_second_at_most(limits: RedisLimits, clock: ManualMs) -> None:
    sender = a_sender(rate="80/s", burst=20)
    turn = await a_full_bucket(limits, clock, sender)
    for _ in range(3):
        await limits.count_inbound(POOL, sender.sender_id, 10_000)
    assert (await limits.usage(sender)).rate_level == -80
    reply = asks_for("a", costs_reach=False)
    until = held(await limits.grant(turn, reply, is_reply=True))[1]
    assert SECOND <= until - clock.now <= SECOND + timedelta(milliseconds=25)
    clock.reaches(until)
    assert (await limits.grant(turn, reply, is_reply=True)).go


async def test_the_reserve_follows_what_comes_in_up_to_half_of_the_burst(
    limits: RedisLimits, clock: ManualMs
) -> None:
    sender = a_sender(rate="80/s", burst=20, reserve=2)
    await a_full_bucket(limits, clock, sender)
    reserves = []
    for per_s in (20, 70, 0):
        for _ in range(600):
            clock.passes(timedelta(milliseconds=100))
            if per_s:
                await limits.count_inbound(POOL, sender.sender_id, per_s // 10)
        usage = await limits.usage(sender)
        reserves.append(usage.reserve)
        if per_s:
            assert usage.inbound_per_s == pytest.approx(per_s, rel=0.2)
    assert reserves == [5, 10, 2]


async def test_a_campaign_goes_on_beside_what_comes_in(limits: RedisLimits, clock: ManualMs) -> None:
    sender = a_sender(rate="80/s", burst=20, reserve=2, tier=10_000)
    turn = await a_full_bucket(limits, clock, sender)
    sent = 0
    for _ in range(20):
        await limits.count_inbound(POOL, sender.sender_id, 4)
        sent += await sent_within(limits, clock, turn, timedelta(milliseconds=100))
    assert 2 * 40 - 10 <= sent <= 2 * 40 + 20


async def test_a_negative_number_does_not_come_in(limits: RedisLimits) -> None:
    with pytest.raises(BadValue):
        await limits.count_inbound(POOL, SenderId(1), -1)
    await limits.count_inbound(POOL, SenderId(1), 0)
    await limits.count_inbound(POOL, SenderId(1), 1)


# --- a pair that Meta refused ---


async def test_nothing_goes_to_a_refused_pair_before_its_time(limits: RedisLimits, clock: ManualMs) -> None:
    sender = a_sender()
    turn = await a_full_bucket(limits, clock, sender)
    other = await a_turn(limits, sender, lane=2)
    until = clock.now + timedelta(seconds=16)
    await limits.back_off_pair(POOL, sender.sender_id, PersonKey("+a"), until)
    for each, is_reply in ((turn, False), (other, False), (other, True)):
        grant = await limits.grant(each, asks_for("a", "b", costs_reach=not is_reply), is_reply=is_reply)
        assert who_goes(grant) == ["+b"]
        assert [(wait.reason, wait.until) for wait in grant.waits] == [(HoldReason.PAIR, until)]
    clock.reaches(until)
    assert (await limits.grant(turn, asks_for("a"))).go


async def test_a_refused_pair_is_one_of_this_sender_only(limits: RedisLimits, clock: ManualMs) -> None:
    one, two = a_sender(1), a_sender(2)
    await a_full_bucket(limits, clock, one, two)
    await limits.back_off_pair(POOL, one.sender_id, PersonKey("+a"), clock.now + SECOND)
    assert (await limits.grant(await a_turn(limits, two), asks_for("a"))).go


async def test_a_back_off_is_not_shortened(limits: RedisLimits, clock: ManualMs) -> None:
    sender = a_sender()
    turn = await a_full_bucket(limits, clock, sender)
    granted = await limits.grant(turn, asks_for("a"))
    for seconds in (16, 4):
        until = clock.now + timedelta(seconds=seconds)
        await limits.back_off_pair(POOL, sender.sender_id, PersonKey("+a"), until)
    await limits.give_back(turn, granted.go, [])
    clock.passes(timedelta(seconds=16) - MS)
    assert (await limits.grant(turn, asks_for("a"))).waits
    clock.passes(MS)
    assert (await limits.grant(turn, asks_for("a"))).go


async def test_a_sender_new_to_the_limits_starts_whole(limits: RedisLimits, clock: ManualMs) -> None:
    sender = a_sender(rate="80/s")
    await limits.rebuild(POOL, [sender], nobody())
    usage = await limits.usage(sender)
    assert (usage.rate_cause, usage.rate_full_at, usage.inbound_per_s) == ("", None, 0)
