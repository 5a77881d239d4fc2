"""The port `Limits` held to its promises, on fakeredis and on a real Valkey."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count

import pytest
from conftest import ManualMs
from fakeredis import FakeAsyncRedis, FakeServer
from redis.asyncio import Redis

from dispatcher.domain.errors import BadValue, EpochLost, LeaseLost, LimitsUnavailable
from dispatcher.domain.grant import Ask, Grant, Reached, SenderLimits, TurnPass
from dispatcher.domain.hold import Hold, HoldReason
from dispatcher.domain.ids import LaneId, MessageId, PersonKey, PoolKey, SenderId, TurnId
from dispatcher.domain.rate import Rate
from dispatcher.domain.reach import LimitScope, Tier
from dispatcher.limits import RedisLimits

POOL = PoolKey("portfolio-1")
DAY = timedelta(hours=24)
MS = timedelta(milliseconds=1)
ids = count(1)


def a_sender(
    sender_id: int = 1,
    *,
    rate: str = "1000/s",
    burst: int = 1_000,
    reserve: int = 0,
    tier: int | None = 1_000,
    scope: LimitScope = LimitScope.SENDER,
    hold: Hold | None = None,
) -> SenderLimits:
    return SenderLimits(
        SenderId(sender_id), POOL, Rate.parse(rate), burst, reserve, Tier(tier, str(tier)), scope, hold
    )


def asks_for(*people: str | int, costs_reach: bool = True) -> list[Ask]:
    return [Ask(MessageId(next(ids)), PersonKey(f"+{person}"), costs_reach) for person in people]


async def nobody() -> AsyncIterator[Sequence[Reached]]:
    return
    yield


async def these(*reached: Reached) -> AsyncIterator[Sequence[Reached]]:
    for one in reached:
        yield [one]


async def a_turn(
    limits: RedisLimits, sender: SenderLimits, *, lane: int = 1, weight: int = 1, turn: int | None = None
) -> TurnPass:
    turn_id = TurnId(turn if turn is not None else next(ids))
    return await limits.open_turn(sender.pool, sender.sender_id, LaneId(lane), turn_id, weight)


async def a_full_bucket(
    limits: RedisLimits, clock: ManualMs, *senders: SenderLimits, lane: int = 1
) -> TurnPass:
    """A pool of these senders, rested for a minute; a turn of the first."""
    await limits.rebuild(POOL, senders, nobody())
    clock.passes(timedelta(minutes=1))
    return await a_turn(limits, senders[0], lane=lane)


def who_goes(grant: Grant) -> list[str]:
    return [granted.person for granted in grant.go]


def held(grant: Grant) -> tuple[HoldReason, datetime]:
    assert grant.hold is not None
    assert grant.hold.until is not None
    return grant.hold.reason, grant.hold.until


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
    assert held(grant)[1] == clock.now + timedelta(milliseconds=20)


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
    assert await limits.grant(turn, asks_for("a")) == Grant((), (), banned)
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


# --- giving back ---


async def test_what_was_never_posted_returns_every_token(limits: RedisLimits, clock: ManualMs) -> None:
    sender = a_sender(rate="0.001/s", burst=1, tier=1)
    await limits.rebuild(POOL, [sender], nobody())
    clock.passes(timedelta(hours=1))
    turn = await a_turn(limits, sender)
    first = await limits.grant(turn, asks_for("a"))
    for _ in range(2):  # repeating it changes nothing
        await limits.give_back(turn, first.go, [])
    assert who_goes(await limits.grant(turn, asks_for("b", "c"))) == ["+b"]
    await limits.give_back(turn, first.go, [])
    assert (await limits.usage(sender)).rate_level == 0
    handed = await limits.reap(POOL, turn.turn_id)
    assert handed is not None
    assert first.go[0].message_id not in handed


async def test_what_was_never_posted_is_no_debt_of_the_pair(limits: RedisLimits, clock: ManualMs) -> None:
    turn = await a_full_bucket(limits, clock, a_sender())
    for _ in range(44):
        await limits.grant(turn, asks_for("a"))
    last = await limits.grant(turn, asks_for("a"))
    assert (await limits.grant(turn, asks_for("a"))).waits
    await limits.give_back(turn, last.go, [])
    assert (await limits.grant(turn, asks_for("a"))).go


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
        await limits.grant(turn, asks_for(*range(10)))
    await limits.reap(POOL, turns[1].turn_id)
    keys = [key.decode() for key in await redis.keys()]
    assert len(keys) == 7
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
