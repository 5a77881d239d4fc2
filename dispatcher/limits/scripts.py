"""One typed signature per Lua script.

Knows keys and the order of arguments; what the numbers mean is left to `limits.py`, how a script is run to `run.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import lru_cache
from typing import Any

from dispatcher.domain.grant import Granted, ReachToken, SenderLimits, TurnPass
from dispatcher.domain.ids import Epoch, MessageId, PersonKey, SenderId, TurnId
from dispatcher.limits.keys import IDLE, REBUILD, TURN, PoolKeys
from dispatcher.limits.run import Argument, Client, Runner, text
from dispatcher.limits.times import in_ms


class Scripts:
    """The scripts on one server or cluster. Answers are lists of integers and bytes, as each script's head says."""

    def __init__(self, redis: Client, *, timeout: timedelta, now_ms: Callable[[], int] | None) -> None:
        self._run = Runner(redis, timeout).run
        self._now_ms = now_ms
        self._idle_ms = in_ms(IDLE)
        self._turn_ms = in_ms(TURN)
        self._rebuild_ms = in_ms(REBUILD)

    def _now(self) -> Argument:
        return "" if self._now_ms is None else self._now_ms()

    async def open_turn(self, keys: PoolKeys, sender_id: SenderId, turn_id: TurnId) -> list[Any]:
        """See open_turn.lua."""
        names = (keys.pool, keys.sender(sender_id), keys.handed(turn_id), keys.reaped(turn_id))
        answer: list[Any] = await self._run("open_turn", names, (self._turn_ms,))
        return answer

    async def grant(
        self,
        keys: PoolKeys,
        turn: TurnPass,
        asks: tuple[Sequence[MessageId], Sequence[PersonKey], Sequence[bool]],
        *,
        day_ms: int,
        pair_interval_ms: int,
        pair_burst: int,
        is_reply: bool,
    ) -> list[Any]:
        """See grant.lua. asks: ids, people, and whether each costs reach."""
        terms = (day_ms, pair_interval_ms, pair_burst, self._idle_ms)
        names, same = _same_for_turn(keys, turn, terms)
        ids, people, costs = asks
        arguments = (
            self._now(),
            *same,
            b"1" if is_reply else b"0",
            # why joined: redis-py needs about 1 µs per argument, Lua a fifth of that to split them again
            b"" if all(costs) else "".join(["1" if each else "0" for each in costs]),
            " ".join(map(str, ids)),
            " ".join(people),
        )
        answer: list[Any] = await self._run("grant", names, arguments, if_unknown=(1,))
        return answer

    async def give_back(
        self,
        keys: PoolKeys,
        turn: TurnPass,
        unposted: Sequence[Granted],
        reach: Sequence[ReachToken],
        *,
        day_ms: int,
        pair_interval_ms: int,
    ) -> int:
        """See give_back.lua."""
        sender_id = turn.sender_id
        names = (
            keys.pool,
            keys.sender(sender_id),
            keys.handed(turn.turn_id),
            keys.sender_reach(sender_id),
            keys.reach,
            keys.pairs(sender_id),
            keys.returned(turn.turn_id),
        )
        arguments: list[Argument] = [
            self._now(),
            turn.epoch,
            day_ms,
            pair_interval_ms,
            len(unposted),
            self._turn_ms,
            *(granted.message_id for granted in unposted),
        ]
        tokens = [(granted.reach, 0) for granted in unposted if granted.reach] + [
            (token, 1) for token in reach
        ]
        for token, posted in tokens:
            ends = (token.until_ms, token.before_sender_ms, token.before_pool_ms)
            arguments += (token.person, *ends, posted)
        undone: int = await self._run("give_back", names, arguments)
        return undone

    async def close_turn(self, keys: PoolKeys, turn: TurnPass) -> None:
        """See close_turn.lua."""
        names = (
            keys.handed(turn.turn_id),
            keys.returned(turn.turn_id),
            keys.hungry(turn.sender_id),
            keys.served(turn.sender_id),
        )
        await self._run("close_turn", names, (_as_rival(turn),))

    async def reap(self, keys: PoolKeys, turn_id: TurnId) -> list[Any]:
        """See reap.lua."""
        names = (keys.pool, keys.handed(turn_id), keys.reaped(turn_id), keys.returned(turn_id))
        answer: list[Any] = await self._run("reap", names, (self._turn_ms,))
        return answer

    async def put_sender(self, keys: PoolKeys, sender: SenderLimits, hold_ms: int) -> None:
        """See sender.lua. hold_ms: from now on; -1 where no time ends the hold."""
        hold = sender.hold
        arguments = (
            self._now(),
            sender.rate.milli_per_s,
            sender.burst,
            sender.reserve,
            -1 if sender.tier.limit is None else sender.tier.limit,
            sender.scope.value,
            hold.reason.value if hold else "",
            hold_ms,
            hold.detail if hold else "",
            self._idle_ms,
        )
        sender_id = sender.sender_id
        names = (keys.pool, keys.sender(sender_id), keys.sender_reach(sender_id), keys.reach)
        await self._run("sender", names, arguments)

    async def slow_down(
        self, keys: PoolKeys, sender_id: SenderId, granted_at_ms: int | None, cause: str
    ) -> bool:
        """See slow_down.lua."""
        granted_at = "" if granted_at_ms is None else granted_at_ms
        arguments = (self._now(), granted_at, cause, self._idle_ms)
        return bool(await self._run("slow_down", (keys.sender(sender_id),), arguments))

    async def count_inbound(self, keys: PoolKeys, sender_id: SenderId, messages: int) -> None:
        """See count_inbound.lua."""
        arguments = (self._now(), messages, self._idle_ms)
        await self._run("count_inbound", (keys.sender(sender_id),), arguments)

    async def back_off_pair(
        self, keys: PoolKeys, sender_id: SenderId, person: PersonKey, for_ms: int
    ) -> None:
        """See back_off_pair.lua."""
        arguments = (self._now(), person, for_ms, self._idle_ms)
        await self._run("back_off_pair", (keys.barred(sender_id),), arguments)

    async def usage(self, keys: PoolKeys, sender_id: SenderId) -> list[Any]:
        """See usage.lua."""
        names = (keys.pool, keys.sender(sender_id), keys.sender_reach(sender_id), keys.reach)
        answer: list[Any] = await self._run("usage", names, (self._now(),))
        return answer

    async def strangers(self, keys: PoolKeys, turns: Sequence[TurnId]) -> frozenset[TurnId]:
        """See strangers.lua."""
        if not turns:
            return frozenset()
        answer = await self._run("strangers", (keys.pool, *map(keys.handed, turns)), ())
        return frozenset(turn for turn, is_known in zip(turns, answer, strict=True) if not is_known)

    async def rebuild_begin(
        self, keys: PoolKeys, mark: str, senders: Sequence[SenderId], *, force: bool
    ) -> Epoch | None:
        """See rebuild_begin.lua. None: a rebuild is needed and has begun."""
        names = (keys.pool, keys.rebuild(mark), *map(keys.sender, senders))
        return _epoch(await self._run("rebuild_begin", names, (int(force), self._rebuild_ms)))

    async def rebuild_people(
        self, keys: PoolKeys, mark: str, sender_id: SenderId, ends: Sequence[Argument]
    ) -> bool:
        """See rebuild_people.lua. ends: token end in ms, person, alternately. False: the memory is lost again."""
        names = (keys.rebuild(mark), keys.sender_reach(sender_id), keys.reach)
        return bool(await self._run("rebuild_people", names, (self._rebuild_ms, self._idle_ms, *ends)))

    async def rebuild_commit(
        self,
        keys: PoolKeys,
        mark: str,
        epoch: Epoch,
        written: Sequence[tuple[SenderId, bool]],
        *,
        day_ms: int,
    ) -> Epoch | None:
        """See rebuild_commit.lua. written: whether each sender's people were. None: the memory is lost again."""
        names = (keys.pool, keys.rebuild(mark), *(keys.sender(sender_id) for sender_id, _ in written))
        arguments = (self._now(), epoch, self._idle_ms, day_ms, *(int(counted) for _, counted in written))
        return _epoch(await self._run("rebuild_commit", names, arguments))


@lru_cache(maxsize=1024)
def _same_for_turn(
    keys: PoolKeys, turn: TurnPass, terms: tuple[int, ...]
) -> tuple[Sequence[bytes], Sequence[bytes]]:
    """The keys and the arguments in the middle that all grants of a turn have in common, ready to be sent.

    why cached: to make and encode them anew takes about 10 µs, a twentieth of what a process spends on a hundred people.
    """
    sender_id = turn.sender_id
    names = (
        keys.pool,
        keys.sender(sender_id),
        keys.handed(turn.turn_id),
        keys.reaped(turn.turn_id),
        keys.sender_reach(sender_id),
        keys.reach,
        keys.pairs(sender_id),
        keys.hungry(sender_id),
        keys.served(sender_id),
        keys.barred(sender_id),
        keys.returned(turn.turn_id),
    )
    same = (turn.epoch, _as_rival(turn), *map(str, terms))
    return [name.encode() for name in names], [each.encode() for each in same]


def _as_rival(turn: TurnPass) -> str:
    """A lane as others that compete with it see it."""
    return f"{turn.lane_id} {turn.priority} {turn.weight}"


def _epoch(answer: bytes | str) -> Epoch | None:
    return Epoch(text(answer)) if answer else None
