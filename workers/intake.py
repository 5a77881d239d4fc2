"""The intake worker: drains the inbox as long as there is something in it, and looks again a moment later.

No arq here: what is to be done stands in the ledger, and several of these share it by locking what they take.
"""

from __future__ import annotations

import asyncio
import contextlib

import structlog

from dispatcher.app import App
from dispatcher.domain.errors import DispatcherError

IDLE_S = 0.05
"""Between two looks into an empty inbox."""
AWAY_S = 0.5
"""Between two attempts to reach the ledger."""

log = structlog.get_logger("workers")


async def take_in(app: App) -> None:
    """Drain until this process is asked to stop; the batch at hand is finished."""
    stopping = app.lane_tools.stopping
    while not stopping.is_set():
        pause_s = IDLE_S
        try:
            if await app.intake.drain():
                continue
        except DispatcherError as error:
            log.warning("intake waits for the ledger", error=str(error))
            pause_s = AWAY_S
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await stopping.wait()
