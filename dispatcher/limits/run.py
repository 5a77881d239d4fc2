"""The one way to run a Lua script: by its name in the server's cache, within a time-out, with Redis' failures named.

Every call is one round trip, two where the server does not know the script yet. When it fails, the server may still
have run the script, because only the answer was lost: then tokens are spent that nobody uses, which is the safe side.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
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

Client: TypeAlias = "Redis | RedisCluster"
Argument: TypeAlias = "str | bytes | int"

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


def text(answer: bytes | str) -> str:
    """A string of an answer, whether or not the client decodes."""
    return answer.decode() if isinstance(answer, bytes) else answer


class Runner:
    """Runs scripts on one server or cluster."""

    def __init__(self, redis: Client, timeout: timedelta) -> None:
        self._redis = redis
        self._timeout_s = timeout.total_seconds()

    async def run(
        self,
        name: str,
        keys: Sequence[str] | Sequence[bytes],
        arguments: Sequence[Argument],
        *,
        if_unknown: Sequence[Argument] = (),
    ) -> Any:
        """The script's answer, as its head says. if_unknown: more arguments where the server did not know the script.

        Raises LimitsUnavailable when Redis does not answer in time, or says that it cannot work now.
        """
        script = load(name)
        try:
            async with asyncio.timeout(self._timeout_s):
                try:
                    return await self._redis.evalsha(script.sha, len(keys), *keys, *arguments)  # type: ignore[misc, arg-type]
                except NoScriptError:  # the first call, or a server that was restarted; EVAL also caches
                    return await self._redis.eval(script.text, len(keys), *keys, *arguments, *if_unknown)  # type: ignore[misc, arg-type]
        except _SILENT as error:
            raise LimitsUnavailable(
                f"Redis did not answer {name}: {error or type(error).__name__}"
            ) from error
        except ResponseError as error:
            if str(error).partition(" ")[0] in _UNABLE:
                raise LimitsUnavailable(f"Redis cannot run {name} now: {error}") from error
            raise
