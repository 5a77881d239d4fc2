"""The port `Limits` over Redis or Valkey: tier, rate and pair buckets, and what was handed over.

Each promise is kept by one Lua script in `lua/`, atomically on the server; here are only the translation between the
domain's words and the scripts' numbers, and the checks of what callers pass in. No count is ever kept in a process.
Who calls when, and what the ledger does with the answers, is left to the engine.
Invariant: when anything is in doubt (no answer, another memory, a reaped turn) nothing is granted.

Source of the platform's numbers: Meta, "Throughput" and "Messaging limits" (WhatsApp Business Platform), read 2026-09.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import timedelta

from dispatcher.domain.errors import BadValue, EpochLost, LeaseLost
from dispatcher.domain.grant import (
    Ask,
    Grant,
    Granted,
    Reached,
    ReachToken,
    SenderLimits,
    TurnPass,
    Usage,
    Wait,
)
from dispatcher.domain.hold import Hold, HoldReason
from dispatcher.domain.ids import Epoch, LaneId, MessageId, PoolKey, SenderId, TurnId
from dispatcher.domain.rate import Rate
from dispatcher.domain.reach import DAY
from dispatcher.limits.keys import IDLE, PoolKeys
from dispatcher.limits.rebuild import rebuild
from dispatcher.limits.scripts import Client, Scripts, in_ms, text
from dispatcher.limits.times import from_ms, to_ms

MOST_ASKS = 500
"""People in one sub-batch: about 2 ms of the server's time, in which it serves nobody else."""

_NEVER_MS = -1


class RedisLimits:
    """Limits shared by all processes that use the same Redis and namespace.

    day: how long a reach token stays out; shorter only in rehearsals. pair_interval, pair_burst: Meta's pair limit.
    timeout: for one call, all told. now_ms: the time, in tests and rehearsals; otherwise the server's own clock.
    The client is the caller's to configure and close. A client that retries by itself may spend tokens twice,
    never too few.
    """

    def __init__(
        self,
        redis: Client,
        *,
        namespace: str,
        day: timedelta = DAY,
        pair_interval: timedelta = timedelta(seconds=6),
        pair_burst: int = 45,
        timeout: timedelta = timedelta(seconds=1),
        now_ms: Callable[[], int] | None = None,
    ) -> None:
        if not timedelta() < day <= IDLE:
            raise BadValue(f"a day of {day} cannot be counted: more than nothing, at most {IDLE}")
        if pair_burst < 1 or not timedelta() < pair_interval <= day:
            raise BadValue(f"pairs need a burst of at least 1 and an interval of at most a day ({day})")
        self._scripts = Scripts(redis, timeout=timeout, now_ms=now_ms)
        self._namespace = namespace
        self._day_ms = in_ms(day)
        self._pair_interval_ms = in_ms(pair_interval)
        self._pair_burst = pair_burst

    def _keys(self, pool: PoolKey) -> PoolKeys:
        return PoolKeys.of(self._namespace, pool)

    async def open_turn(
        self, pool: PoolKey, sender_id: SenderId, lane_id: LaneId, turn_id: TurnId, weight: int
    ) -> TurnPass:
        """Register a turn. weight: its lane's share beside other lanes of the sender, at least 1.

        Raises EpochLost when pool or sender must be rebuilt first, LeaseLost when the turn was reaped meanwhile.
        """
        if weight < 1:
            raise BadValue(f"a weight of {weight} is no share; use at least 1")
        status, *epoch = await self._scripts.open_turn(self._keys(pool), sender_id, turn_id)
        _stand(status, pool, turn_id)
        return TurnPass(pool, sender_id, lane_id, turn_id, weight, Epoch(text(epoch[0])))

    async def grant(self, turn: TurnPass, asks: Sequence[Ask]) -> Grant:
        """Ask once for a sub-batch of at most 500 distinct people, in ledger order; spends what it grants.

        Raises EpochLost, LeaseLost; LimitsUnavailable, and then tokens may have been spent, on nobody.
        """
        if not asks:
            return Grant((), (), None)
        if len(asks) > MOST_ASKS or len({ask.person for ask in asks}) < len(asks):
            raise BadValue(f"a sub-batch has at most {MOST_ASKS} people, each once; got {len(asks)} asks")
        status, *answer = await self._scripts.grant(
            self._keys(turn.pool),
            turn,
            asks,
            day_ms=self._day_ms,
            pair_interval_ms=self._pair_interval_ms,
            pair_burst=self._pair_burst,
        )
        _stand(status, turn.pool, turn.turn_id)
        reason, until_ms, detail, walked, refused, waits, day_end_ms, before_pool_ms, tokens = answer
        stay = {*refused, *waits[::2]}
        go = [position for position in range(1, walked + 1) if position not in stay]
        return Grant(
            _granted(asks, go, (day_end_ms, 0, before_pool_ms), tokens),
            _waits(asks, waits),
            _hold(reason, until_ms, detail),
        )

    async def give_back(
        self, turn: TurnPass, unposted: Sequence[Granted], reach: Sequence[ReachToken]
    ) -> None:
        """Undo grants that certainly reached nobody. Repeating it changes nothing.

        unposted: never written to the wire; every token returns, the reach token included.
        reach: tokens of posted messages that Meta certainly did not take.
        """
        if unposted or reach:
            await self._scripts.give_back(
                self._keys(turn.pool),
                turn,
                unposted,
                reach,
                day_ms=self._day_ms,
                pair_interval_ms=self._pair_interval_ms,
            )

    async def close_turn(self, turn: TurnPass) -> None:
        """Forget the handed set; call it only after the ledger has closed the turn."""
        await self._scripts.close_turn(self._keys(turn.pool), turn.sender_id, turn.lane_id, turn.turn_id)

    async def reap(self, pool: PoolKey, turn_id: TurnId) -> frozenset[MessageId] | None:
        """Bar a turn from any further grant and return what was handed over; None when that memory is gone."""
        known, *handed = await self._scripts.reap(self._keys(pool), turn_id)
        return frozenset(MessageId(int(message_id)) for message_id in handed) if known else None

    async def put_sender(self, sender: SenderLimits) -> None:
        """Make a sender's present limits known; counted tokens stay. In force from the next grant on.

        A sender new to this memory, and one whose people begin to matter after an unlimited tier, is granted nothing
        (EpochLost) before `rebuild` has counted its people.
        """
        if not 0 <= sender.reserve < sender.burst:
            raise BadValue(
                f"sender {sender.sender_id}: a reserve of {sender.reserve} in a burst of {sender.burst} "
                "would leave campaigns nothing; the burst must be larger than the reserve"
            )
        until = sender.hold.until if sender.hold else None
        await self._scripts.put_sender(self._keys(sender.pool), sender, to_ms(until) if until else _NEVER_MS)

    async def rebuild(
        self,
        pool: PoolKey,
        senders: Sequence[SenderLimits],
        reached: AsyncIterator[Sequence[Reached]],
        *,
        force: bool = False,
    ) -> Epoch:
        """Fill what is missing of a pool's memory; see `rebuild.py`. Safe to run twice at once."""
        if strangers := [sender.sender_id for sender in senders if sender.pool != pool]:
            raise BadValue(f"senders {strangers} do not belong to pool {pool!r}")
        for sender in senders:
            await self.put_sender(sender)
        return await rebuild(
            self._scripts, self._keys(pool), senders, reached, day_ms=self._day_ms, force=force
        )

    async def usage(self, sender: SenderLimits) -> Usage:
        """What is taken now; for people, not for decisions. Raises EpochLost when the pool is not built."""
        status, *answer = await self._scripts.usage(self._keys(sender.pool), sender.sender_id)
        _stand(status, sender.pool)
        used, limit, next_ms, rate, level, reason, hold_until_ms, detail = answer
        return Usage(
            reach_used=used,
            reach_limit=None if limit < 0 else limit,
            reach_next=None if next_ms < 0 else from_ms(next_ms),
            rate=Rate(rate),
            rate_level=level,
            hold=_hold(reason, hold_until_ms, detail),
        )


def _stand(status: int, pool: PoolKey, turn_id: TurnId | None = None) -> None:
    """Raise what a script's status means: 1 fine, 0 another memory, -1 a reaped turn."""
    if status == 0:
        raise EpochLost(
            f"the limits of pool {pool!r} are not (or no longer) in Redis", hint="rebuild the pool"
        )
    if status < 0:
        raise LeaseLost(f"turn {turn_id} was reaped; nothing is granted to it any more")


def _granted(
    asks: Sequence[Ask], go: Sequence[int], usual: tuple[int, int, int], tokens: Sequence[int]
) -> Sequence[Granted]:
    """Who goes, with the usual token (until, before by sender, before by pool) or the one in `tokens`."""
    fields = iter(tokens)
    special = {position: ends for position, *ends in zip(fields, fields, fields, fields, strict=True)}
    granted: list[Granted] = []
    for position in go:
        ask = asks[position - 1]
        until_ms, before_sender_ms, before_pool_ms = special.get(position, usual)
        token = ReachToken(ask.person, until_ms, before_sender_ms, before_pool_ms) if until_ms else None
        granted.append(Granted(ask.message_id, ask.person, token))
    return tuple(granted)


def _waits(asks: Sequence[Ask], waits: Sequence[int]) -> Sequence[Wait]:
    fields = iter(waits)
    return tuple(
        Wait(asks[position - 1].message_id, HoldReason.PAIR, from_ms(until_ms))
        for position, until_ms in zip(fields, fields, strict=True)
    )


def _hold(reason: bytes | str, until_ms: int, detail: bytes | str) -> Hold | None:
    if not reason:
        return None
    return Hold(HoldReason(text(reason)), None if until_ms == _NEVER_MS else from_ms(until_ms), text(detail))
