"""The only way a test waits for another process: look again and again, and say what was never seen."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import TypeVar

LOOK_EVERY_S = 0.02

Seen = TypeVar("Seen")


async def wait_until(
    predicate: Callable[[], Seen | Awaitable[Seen]], *, description: str, timeout: float = 30.0
) -> Seen:
    """Return the predicate's first true value. Raises AssertionError with the description after `timeout` seconds."""
    loop = asyncio.get_running_loop()
    ends = loop.time() + timeout
    while True:
        seen = predicate()
        value = await seen if inspect.isawaitable(seen) else seen
        if value:
            return value
        if loop.time() >= ends:
            raise AssertionError(f"after {timeout} s still not: {description}; last seen {value!r}")
        await asyncio.sleep(LOOK_EVERY_S)
