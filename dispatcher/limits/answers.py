"""What the scripts' numbers mean in the domain's words, and the errors that a script's status stands for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import repeat
from typing import Any

from dispatcher.domain.errors import EpochLost, LeaseLost
from dispatcher.domain.grant import Ask, Grant, Granted, SenderLimits, Usage, Wait
from dispatcher.domain.hold import Hold, HoldReason
from dispatcher.domain.ids import PoolKey, TurnId
from dispatcher.domain.rate import Rate
from dispatcher.limits.run import text
from dispatcher.limits.times import Moment, from_ms

NEVER_MS = -1
"""In place of a time: no time ends it."""


def stand(status: int, pool: PoolKey, turn_id: TurnId | None = None) -> None:
    """Raise what a script's status means: 1 fine, 0 another memory, -1 a reaped turn."""
    if status == 0:
        raise EpochLost(
            f"the limits of pool {pool!r} are not (or no longer) in Redis", hint="rebuild the pool"
        )
    if status < 0:
        raise LeaseLost(f"turn {turn_id} was reaped; nothing is granted to it any more")


def grant_of(asks: Sequence[Ask], answer: Sequence[Any], here: datetime) -> Grant:
    """The answer of grant.lua to these asks, after its status. here: what our clock shows now that it has come."""
    reason, until_ms, detail, now_ms, walked, refused, waits, day_end_ms, before_pool_ms, tokens = answer
    go: Sequence[Ask] = asks[:walked]
    if refused or waits:
        stay = {*refused, *waits[::2]}
        go = [ask for position, ask in enumerate(go, 1) if position not in stay]
    usual = (day_end_ms, 0, before_pool_ms)
    granted = _some_special(asks, go, usual, tokens) if tokens else _all_usual(go, usual)
    now = Moment(here, now_ms)
    return Grant(granted, _waits(asks, waits, now), _hold(reason, until_ms, detail, now), from_ms(now_ms))


def usage_of(sender: SenderLimits, answer: Sequence[Any], here: datetime) -> Usage:
    """The answer of usage.lua for this sender, after its status. here: as in `grant_of`."""
    now_ms, used, limit, next_ms, rate, level, *more = answer
    reason, hold_until_ms, detail, cause, full_ms, reserve, inbound = more
    now = Moment(here, now_ms)
    return Usage(
        reach_used=used,
        reach_limit=None if limit < 0 else limit,
        reach_next=_time(next_ms, now),
        rate=Rate(rate),
        rate_level=level,
        hold=_hold(reason, hold_until_ms, detail, now),
        rate_cause=", ".join(filter(None, (sender.rate_cause, text(cause)))),
        rate_full_at=_time(full_ms, now),
        reserve=reserve,
        inbound_per_s=inbound / 1000,
    )


def _all_usual(go: Sequence[Ask], usual: tuple[int, int, int]) -> Sequence[Granted]:
    """Who goes, each with the same token (until, before by sender, before by pool), or with none if it ends at 0.

    why so: this runs once per message, and `tuple.__new__`, which is all that a named tuple does, runs over columns
    in a fifth of the time of a loop.
    """
    if not go:
        return ()
    ids, people, _ = zip(*go, strict=True)
    return tuple(map(tuple.__new__, repeat(Granted), zip(ids, people, *map(repeat, usual), strict=False)))


def _some_special(
    asks: Sequence[Ask], go: Sequence[Ask], usual: tuple[int, int, int], tokens: Sequence[int]
) -> Sequence[Granted]:
    """The same where some have the token in `tokens` instead: position, until, before by sender, before by pool."""
    fields = iter(tokens)
    special = {
        asks[position - 1].message_id: ends
        for position, *ends in zip(fields, fields, fields, fields, strict=True)
    }
    return tuple(Granted(ask.message_id, ask.person, *special.get(ask.message_id, usual)) for ask in go)


def _waits(asks: Sequence[Ask], waits: Sequence[int], now: Moment) -> Sequence[Wait]:
    fields = iter(waits)
    return tuple(
        Wait(asks[position - 1].message_id, HoldReason.PAIR, now.ours(until_ms))
        for position, until_ms in zip(fields, fields, strict=True)
    )


def _time(ms: int, now: Moment) -> datetime | None:
    return None if ms == NEVER_MS else now.ours(ms)


def _hold(reason: bytes | str, until_ms: int, detail: bytes | str, now: Moment) -> Hold | None:
    return Hold(HoldReason(text(reason)), _time(until_ms, now), text(detail)) if reason else None
