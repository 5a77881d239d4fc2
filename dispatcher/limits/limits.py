"""The port `Limits` over Redis or Valkey: tier, rate and pair buckets, and what was handed over.

Each promise is kept by one Lua script in `lua/`, atomically on the server; here are only the translation between the
domain's words and the scripts' numbers, and the checks of what callers pass in. No count is ever kept in a process.
Who calls when, and what the ledger does with the answers, is left to the engine.
Invariant: when anything is in doubt (no answer, another memory, a reaped turn) nothing is granted.

Source of the platform's numbers: Meta, "Throughput" and "Messaging limits" (WhatsApp Business Platform), read 2026-09.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import lru_cache, partial

from dispatcher.clock import SystemClock
from dispatcher.domain.errors import BadValue
from dispatcher.domain.grant import Ask, Grant, Granted, Reached, ReachToken, SenderLimits, TurnPass, Usage
from dispatcher.domain.ids import Epoch, LaneId, MessageId, PersonKey, PoolKey, SenderId, TurnId
from dispatcher.domain.reach import DAY
from dispatcher.limits.answers import NEVER_MS, grant_of, stand, usage_of
from dispatcher.limits.keys import IDLE, PoolKeys
from dispatcher.limits.rebuild import rebuild
from dispatcher.limits.run import Client, text
from dispatcher.limits.scripts import Scripts
from dispatcher.limits.times import from_ms, in_ms, ms_until, to_ms
from dispatcher.ports import Clock

MOST_ASKS = 500
"""People in one sub-batch: about 2 ms of the server's time, in which it serves nobody else."""


class RedisLimits:
    """Limits shared by all processes that use the same Redis and namespace.

    day: how long a reach token stays out; shorter only in rehearsals. pair_interval, pair_burst: Meta's pair limit.
    timeout: for one call, all told. clock: the caller's, the machine's where none is given; holds and waits are told
    and understood by it, whatever the server's says. now_ms: the limits' time, in tests, and the caller's where no
    clock is given; otherwise the server's own clock.
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
        clock: Clock | None = None,
        now_ms: Callable[[], int] | None = None,
    ) -> None:
        if not timedelta() < day <= IDLE:
            raise BadValue(f"a day of {day} cannot be counted: more than nothing, at most {IDLE}")
        if pair_burst < 1 or not timedelta() < pair_interval <= day:
            raise BadValue(f"pairs need a burst of at least 1 and an interval of at most a day ({day})")
        self._scripts = Scripts(redis, timeout=timeout, now_ms=now_ms)
        self._now = _caller_time(clock, now_ms)
        self._keys = lru_cache(maxsize=1024)(partial(PoolKeys.of, namespace))
        self._day_ms = in_ms(day)
        self._pair_interval_ms = in_ms(pair_interval)
        self._pair_burst = pair_burst

    async def open_turn(
        self, pool: PoolKey, sender_id: SenderId, lane_id: LaneId, turn_id: TurnId, weight: int, priority: int
    ) -> TurnPass:
        """Register a turn. weight: its lane's share beside lanes of the sender that have the same priority, at least 1.

        priority: lanes of a higher one go first. While one of those wants more than it gets, each message of this lane
        counts as twenty of its messages: it keeps a twentieth of what that lane gets, whatever their weights.
        Raises EpochLost when pool or sender must be rebuilt first, LeaseLost when the turn was reaped meanwhile.
        """
        if weight < 1:
            raise BadValue(f"a weight of {weight} is no share; use at least 1")
        status, *epoch = await self._scripts.open_turn(self._keys(pool), sender_id, turn_id)
        stand(status, pool, turn_id)
        return TurnPass(pool, sender_id, lane_id, turn_id, weight, priority, Epoch(text(epoch[0])))

    async def grant(self, turn: TurnPass, asks: Sequence[Ask], *, is_reply: bool = False) -> Grant:
        """Ask once for a sub-batch of at most 500 people, each once, in ledger order; spends what it grants.

        is_reply: may use the reserve and is not held up by other lanes' shares. Whether a message costs reach says its
        ask: a reply is inside a service window and costs none.
        Raises EpochLost, LeaseLost; LimitsUnavailable, and then tokens may have been spent, on nobody.
        """
        if not asks:
            return Grant((), (), None)
        ids, people, costs = zip(*asks, strict=True)
        if len(asks) > MOST_ASKS or len(set(people)) < len(asks):
            raise BadValue(f"a sub-batch has at most {MOST_ASKS} people, each once; got {len(asks)} asks")
        status, *answer = await self._scripts.grant(
            self._keys(turn.pool),
            turn,
            (ids, people, costs),
            day_ms=self._day_ms,
            pair_interval_ms=self._pair_interval_ms,
            pair_burst=self._pair_burst,
            is_reply=is_reply,
        )
        stand(status, turn.pool, turn.turn_id)
        return grant_of(asks, answer, self._now())

    async def give_back(
        self, turn: TurnPass, unposted: Sequence[Granted], reach: Sequence[ReachToken]
    ) -> None:
        """Undo grants that certainly reached nobody. Repeating it changes nothing.

        unposted: never written to the wire; they count as handed over no longer, and their reach tokens return.
        reach: tokens of posted messages that Meta certainly did not take.
        What was spent of the rate stays spent: returned late, it would let more than a burst through at once.
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
        await self._scripts.close_turn(self._keys(turn.pool), turn)

    async def reap(self, pool: PoolKey, turn_id: TurnId) -> frozenset[MessageId] | None:
        """Bar a turn from any further grant and return what was handed over; None when that memory is gone."""
        known, *answer = await self._scripts.reap(self._keys(pool), turn_id)
        if not known:
            return None
        handed, returned = answer
        _, *ids = text(handed).split()
        return frozenset(MessageId(int(id_)) for id_ in {*ids} - {*map(text, returned)})

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
        hold_ms = NEVER_MS
        if sender.hold is not None and sender.hold.until is not None:
            hold_ms = ms_until(sender.hold.until, self._now())
            if hold_ms == 0:
                sender = replace(sender, hold=None)  # over already
        await self._scripts.put_sender(self._keys(sender.pool), sender, hold_ms)

    async def slow_down(
        self, sender_id: SenderId, pool: PoolKey, at: datetime | None = None, cause: str = "130429"
    ) -> bool:
        """Meta says that this sender sends too fast: halve its rate, once per incident. True when it was halved now.

        at: `Grant.granted_at` of the refused message; an answer to what was granted before the last halving, or one
        within 2 s of it, changes nothing. cause: shown by `usage`.
        The sender pauses for a second; then a sixteenth of its rate comes back every 5 s. Never below a sixteenth of
        the rate, nor below one message a second (unless its own rate is lower).
        Source: Meta, "Throughput" (130429 until back under the level), read 2026-09; the figures are ours.
        """
        return await self._scripts.slow_down(
            self._keys(pool), sender_id, None if at is None else to_ms(at), cause
        )

    async def count_inbound(self, pool: PoolKey, sender_id: SenderId, messages: int) -> None:
        """Take inbound messages from the sender's rate, for Meta counts them too, and measure how many come.

        The bucket may owe for it what comes in within a second, not more. The reserve follows what is measured: the
        inbound share of the rate, at most half of the burst, and never less than the configured reserve.
        """
        if messages < 0:
            raise BadValue(f"{messages} inbound messages cannot be counted")
        if messages:
            await self._scripts.count_inbound(self._keys(pool), sender_id, messages)

    async def back_off_pair(
        self, pool: PoolKey, sender_id: SenderId, person: PersonKey, until: datetime
    ) -> None:
        """After Meta's 131056: nothing goes from this sender to this person before `until`, at most seven days hence."""
        await self._scripts.back_off_pair(self._keys(pool), sender_id, person, ms_until(until, self._now()))

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

    async def strangers(self, pool: PoolKey, turns: Sequence[TurnId]) -> frozenset[TurnId]:
        """Which of these turns were not opened in the pool's present memory."""
        return await self._scripts.strangers(self._keys(pool), turns)

    async def usage(self, sender: SenderLimits) -> Usage:
        """What is taken now; for people, not for decisions. Raises EpochLost when the pool is not built."""
        status, *answer = await self._scripts.usage(self._keys(sender.pool), sender.sender_id)
        stand(status, sender.pool)
        return usage_of(sender, answer, self._now())


def _caller_time(clock: Clock | None, now_ms: Callable[[], int] | None) -> Callable[[], datetime]:
    if clock is None and now_ms is not None:
        return lambda: from_ms(now_ms())
    return (clock or SystemClock()).now
