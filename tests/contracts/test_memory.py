"""What the ledger remembers beyond one message: holds that grow when they keep coming back, refusals counted by code."""

from __future__ import annotations

from datetime import datetime, timedelta

from support.ledger import Ledger, later

from dispatcher.domain.gate import HeldScope
from dispatcher.domain.hold import Hold, HoldReason
from dispatcher.domain.message import again_later

HOURS = timedelta(hours=1)


async def held_for(ledger: Ledger, wait: timedelta) -> timedelta:
    """Put a hold of that length on one sender; returns how long it became."""
    before = later(timedelta())
    held = await ledger.memory.put_hold(
        HeldScope.SENDER, "1", Hold(HoldReason.SENDER_HELD, before + wait, "131048: limited"), 131048
    )
    assert held.hold.until is not None
    return held.hold.until - before


async def ended_ago(ledger: Ledger, span: timedelta) -> None:
    await ledger.database.execute("UPDATE holds SET until = ledger_now() - $1::interval", span)


def about(span: timedelta, expected: timedelta) -> bool:
    return abs(span - expected) < timedelta(minutes=1)


async def test_a_hold_that_comes_back_lasts_twice_as_long_each_time_up_to_a_week(ledger: Ledger) -> None:
    lengths = []
    for _ in range(7):
        lengths.append(await held_for(ledger, 6 * HOURS))
        await ended_ago(ledger, timedelta(minutes=1))
    expected = [6 * HOURS, 12 * HOURS, 24 * HOURS, 48 * HOURS, 96 * HOURS, 168 * HOURS, 168 * HOURS]
    assert all(map(about, lengths, expected)), lengths


async def test_more_answers_of_one_incident_do_not_make_a_hold_grow(ledger: Ledger) -> None:
    lengths = [await held_for(ledger, 6 * HOURS) for _ in range(5)]
    assert all(about(length, 6 * HOURS) for length in lengths), lengths


async def test_a_hold_after_a_quiet_day_begins_anew(ledger: Ledger) -> None:
    await held_for(ledger, 6 * HOURS)
    await ended_ago(ledger, timedelta(minutes=1))
    assert about(await held_for(ledger, 6 * HOURS), 12 * HOURS)
    await ended_ago(ledger, 25 * HOURS)
    assert about(await held_for(ledger, 6 * HOURS), 6 * HOURS)


async def test_a_hold_without_an_end_stays_without_one(ledger: Ledger) -> None:
    endless = Hold(HoldReason.SENDER_HELD, None, "133010: not registered")
    await ledger.memory.put_hold(HeldScope.SENDER, "1", endless, 133010)
    held = await ledger.memory.put_hold(
        HeldScope.SENDER, "1", Hold(HoldReason.SENDER_HELD, later(), "131057: maintenance"), 131057
    )
    assert held.hold.until is None


async def test_refusals_of_a_message_are_counted_by_code(ledger: Ledger) -> None:
    filled = await ledger.a_campaign(people=1)
    campaign_id = filled.campaign.id
    for code in (130429, 131049, 130429):
        turn = await ledger.a_turn(filled.lanes[0])
        [message] = await ledger.turns.claim(turn, 1)
        outcome = again_later(message.id, a_moment_ago(), reason=HoldReason.RATE, code=code, detail="")
        await ledger.turns.settle(turn, [outcome])
        await ledger.turns.close_turn(turn, None)
    counts = [
        await ledger.memory.times_refused(campaign_id, message.id, code) for code in (130429, 131049, 131056)
    ]
    assert counts == [2, 1, 0]


def a_moment_ago() -> datetime:
    return later(-timedelta(seconds=1))
