"""The only way a test waits for another process: look again and again, and say what was never seen."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable

LOOK_EVERY_S = 0.02


async def wait_until(predicate: Callable[[], object], *, description: str, timeout: float = 30.0) -> None:
    """Return once the predicate, a function or a coroutine function, is true.

    Raises AssertionError with the description after `timeout` seconds.
    """
    loop = asyncio.get_running_loop()
    ends = loop.time() + timeout
    while True:
        seen = predicate()
        if inspect.isawaitable(seen):
            seen = await seen
        if seen:
            return
        if loop.time() >= ends:
            raise AssertionError(f"after {timeout} s still not: {description}")
        await asyncio.sleep(LOOK_EVERY_S)
