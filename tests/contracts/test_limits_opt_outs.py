"""Whoever opted out just now: refused to campaigns at once, whatever a turn has claimed; never to a reply."""

from __future__ import annotations

from limits_builders import POOL, ManualMs, a_full_bucket, a_sender, a_turn, asks_for, who_goes

from dispatcher.domain.ids import PersonKey
from dispatcher.limits import RedisLimits
from dispatcher.limits.limits import MOST_STOPPED, STOPPED_FOR

ANN, BOB = PersonKey("+ann"), PersonKey("+bob")


async def test_no_campaign_of_the_pool_is_granted_a_message_to_them(
    limits: RedisLimits, clock: ManualMs
) -> None:
    one, two = a_sender(1), a_sender(2)
    turn = await a_full_bucket(limits, clock, one, two)
    await limits.stop_people(POOL, [ANN])
    for each in (turn, await a_turn(limits, two)):
        grant = await limits.grant(each, asks_for("ann", "bob"))
        assert who_goes(grant) == [BOB]
        assert grant.hold is None
        [wait] = grant.waits
        assert wait.until is not None
        assert clock.now < wait.until <= clock.now + STOPPED_FOR


async def test_it_costs_them_nothing(limits: RedisLimits, clock: ManualMs) -> None:
    sender = a_sender(tier=2, burst=2)
    turn = await a_full_bucket(limits, clock, sender)
    await limits.stop_people(POOL, [ANN])
    assert who_goes(await limits.grant(turn, asks_for("ann", "bob", "cid"))) == ["+bob", "+cid"]
    assert (await limits.usage(sender)).reach_used == 2


async def test_a_reply_may_answer_them(limits: RedisLimits, clock: ManualMs) -> None:
    turn = await a_full_bucket(limits, clock, a_sender())
    await limits.stop_people(POOL, [ANN])
    grant = await limits.grant(turn, asks_for("ann", costs_reach=False), is_reply=True)
    assert who_goes(grant) == [ANN]


async def test_whoever_opts_in_again_is_granted_at_once(limits: RedisLimits, clock: ManualMs) -> None:
    turn = await a_full_bucket(limits, clock, a_sender())
    await limits.stop_people(POOL, [ANN, BOB])
    await limits.release_people(POOL, [ANN])
    await limits.release_people(POOL, [ANN, PersonKey("+never stopped")])
    assert who_goes(await limits.grant(turn, asks_for("ann", "bob"))) == [ANN]


async def test_it_is_over_by_itself(limits: RedisLimits, clock: ManualMs) -> None:
    turn = await a_full_bucket(limits, clock, a_sender())
    await limits.stop_people(POOL, [ANN])
    clock.passes(STOPPED_FOR)
    assert who_goes(await limits.grant(turn, asks_for("ann"))) == [ANN]


async def test_many_may_opt_out_in_one_moment(limits: RedisLimits, clock: ManualMs) -> None:
    turn = await a_full_bucket(limits, clock, a_sender())
    people = [PersonKey(f"+{n}") for n in range(MOST_STOPPED + 2)]
    await limits.stop_people(POOL, people)
    assert who_goes(await limits.grant(turn, asks_for(0, MOST_STOPPED + 1, "ann"))) == [ANN]
    await limits.release_people(POOL, people)
    assert len((await limits.grant(turn, asks_for(0, MOST_STOPPED + 1))).go) == 2
