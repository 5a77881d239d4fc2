"""One typed signature per Lua script, and the one way to run them.

Knows keys, argument order and what Redis can fail with; what the numbers mean is left to `limits.py`.
Every call is one round trip within `timeout`. When it fails, the server may still have run the script, because only
the answer was lost: then tokens are spent that nobody uses, which is the safe side.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from importlib.resources import files
from typing import Any, TypeAlias

from redis.asyncio import Redis, RedisCluster
from redis.exceptions import (
    AskError,
    ClusterError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisClusterException,
    ResponseError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from dispatcher.domain.errors import LimitsUnavailable
from dispatcher.domain.grant import Ask, Granted, ReachToken, SenderLimits, TurnPass
from dispatcher.domain.ids import Epoch, LaneId, SenderId, TurnId
from dispatcher.limits.keys import IDLE, REBUILD, TURN, PoolKeys

Client: TypeAlias = "Redis | RedisCluster"
Argument: TypeAlias = "str | int"

_SILENT = (
    OSError,  # TimeoutError too
    RedisConnectionError,  # a server that is loading too
    RedisTimeoutError,
    RedisClusterException,
    ClusterError,
    AskError,  # MovedError too: the cluster is being rearranged
    TryAgainError,
    ReadOnlyError,  # a replica, just after a fail-over
    OutOfMemoryError,
)
_UNABLE = frozenset(["BUSY", "CLUSTERDOWN", "MASTERDOWN", "MISCONF", "NOREPLICAS", "TRYAGAIN", "UNKILLABLE"])
"""First words of other errors by which a server says that it cannot work now. The rest are faults of ours."""


def in_ms(span: timedelta) -> int:
    """Whole milliseconds of a span."""
    return span // timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Script:
    """A script's text and the name by which a server caches it."""

    text: str
    sha: str


@cache
def load(name: str) -> Script:
    """Read `lua/<name>.lua`, with `common.lua` before it."""
    folder = files("dispatcher.limits") / "lua"
    text = (folder / "common.lua").read_text("utf-8") + (folder / f"{name}.lua").read_text("utf-8")
    return Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


class Scripts:
    """The scripts on one server or cluster. Answers are lists of integers and bytes, as each script's head says."""

    def __init__(self, redis: Client, *, timeout: timedelta, now_ms: Callable[[], int] | None) -> None:
        self._redis = redis
        self._timeout_s = timeout.total_seconds()
        self._now_ms = now_ms
        self._idle_ms = in_ms(IDLE)
        self._turn_ms = in_ms(TURN)
        self._rebuild_ms = in_ms(REBUILD)

    def _now(self) -> Argument:
        return "" if self._now_ms is None else self._now_ms()

    async def _run(self, name: str, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
        script = load(name)
        try:
            async with asyncio.timeout(self._timeout_s):
                try:
                    return await self._redis.evalsha(script.sha, len(keys), *keys, *arguments)  # type: ignore[misc, arg-type]
                except NoScriptError:  # the first call, or a server that was restarted; EVAL also caches
                    return await self._redis.eval(script.text, len(keys), *keys, *arguments)  # type: ignore[misc, arg-type]
        except _SILENT as error:
            raise LimitsUnavailable(
                f"Redis did not answer {name}: {error or type(error).__name__}"
            ) from error
        except ResponseError as error:
            if str(error).partition(" ")[0] in _UNABLE:
                raise LimitsUnavailable(f"Redis cannot run {name} now: {error}") from error
            raise

    async def open_turn(self, keys: PoolKeys, sender_id: SenderId, turn_id: TurnId) -> list[Any]:
        """See open_turn.lua."""
        names = (keys.pool, keys.sender(sender_id), keys.handed(turn_id), keys.reaped(turn_id))
        answer: list[Any] = await self._run("open_turn", names, (self._turn_ms,))
        return answer

    async def grant(
        self,
        keys: PoolKeys,
        turn: TurnPass,
        asks: Sequence[Ask],
        *,
        day_ms: int,
        pair_interval_ms: int,
        pair_burst: int,
    ) -> list[Any]:
        """See grant.lua."""
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
        )
        arguments = (
            self._now(),
            turn.epoch,
            turn.lane_id,
            turn.weight,
            day_ms,
            pair_interval_ms,
            pair_burst,
            self._idle_ms,
            # why joined: redis-py needs about 1 µs per argument, Lua a fifth of that to split them again
            "".join(["1" if ask.costs_reach else "0" for ask in asks]),
            " ".join([str(ask.message_id) for ask in asks]),
            " ".join([ask.person for ask in asks]),
        )
        answer: list[Any] = await self._run("grant", names, arguments)
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
            keys.served(sender_id),
        )
        arguments: list[Argument] = [
            self._now(),
            turn.epoch,
            turn.lane_id,
            turn.weight,
            day_ms,
            pair_interval_ms,
            len(unposted),
        ]
        for granted in unposted:
            arguments += (granted.message_id, granted.person)
        tokens = [(granted.reach, 0) for granted in unposted if granted.reach] + [
            (token, 1) for token in reach
        ]
        for token, posted in tokens:
            ends = (token.until_ms, token.before_sender_ms, token.before_pool_ms)
            arguments += (token.person, *ends, posted)
        undone: int = await self._run("give_back", names, arguments)
        return undone

    async def close_turn(self, keys: PoolKeys, sender_id: SenderId, lane_id: LaneId, turn_id: TurnId) -> None:
        """See close_turn.lua."""
        names = (keys.handed(turn_id), keys.hungry(sender_id), keys.served(sender_id))
        await self._run("close_turn", names, (lane_id,))

    async def reap(self, keys: PoolKeys, turn_id: TurnId) -> list[Any]:
        """See reap.lua."""
        names = (keys.handed(turn_id), keys.reaped(turn_id))
        answer: list[Any] = await self._run("reap", names, (self._turn_ms,))
        return answer

    async def put_sender(self, keys: PoolKeys, sender: SenderLimits, hold_until_ms: int) -> None:
        """See sender.lua. hold_until_ms: -1 where no time ends the hold."""
        hold = sender.hold
        arguments = (
            self._now(),
            sender.rate.milli_per_s,
            sender.burst,
            sender.reserve,
            -1 if sender.tier.limit is None else sender.tier.limit,
            sender.scope.value,
            hold.reason.value if hold else "",
            hold_until_ms,
            hold.detail if hold else "",
            self._idle_ms,
        )
        sender_id = sender.sender_id
        names = (keys.pool, keys.sender(sender_id), keys.sender_reach(sender_id), keys.reach)
        await self._run("sender", names, arguments)

    async def usage(self, keys: PoolKeys, sender_id: SenderId) -> list[Any]:
        """See usage.lua."""
        names = (keys.pool, keys.sender(sender_id), keys.sender_reach(sender_id), keys.reach)
        answer: list[Any] = await self._run("usage", names, (self._now(),))
        return answer

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


def text(answer: bytes | str) -> str:
    """A string of an answer, whether or not the client decodes."""
    return answer.decode() if isinstance(answer, bytes) else answer


def _epoch(answer: bytes | str) -> Epoch | None:
    return Epoch(text(answer)) if answer else None
