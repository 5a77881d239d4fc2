"""Senders, asks and turns as the limits' contracts speak of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count

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


class ManualMs:
    """Milliseconds since 1970 that pass only when told to."""

    def __init__(self) -> None:
        self.ms = 1_700_000_000_000

    def __call__(self) -> int:
        return self.ms

    @property
    def now(self) -> datetime:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=self.ms)

    def passes(self, span: timedelta) -> None:
        self.ms += span // timedelta(milliseconds=1)

    def reaches(self, at: datetime) -> None:
        self.passes(at - self.now)


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
    limits: RedisLimits,
    sender: SenderLimits,
    *,
    lane: int = 1,
    weight: int = 1,
    priority: int = 0,
    turn: int | None = None,
) -> TurnPass:
    turn_id = TurnId(turn if turn is not None else next(ids))
    return await limits.open_turn(sender.pool, sender.sender_id, LaneId(lane), turn_id, weight, priority)


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
