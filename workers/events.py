"""The events worker: delivers what waits for subscriptions, and looks again a moment later.

No arq here: what is to be done stands in the ledger, and several of these share it by leases.
"""

from __future__ import annotations

import asyncio
import contextlib

import structlog

from dispatcher.app import App
from dispatcher.domain.delivery import DeliveryTurn
from dispatcher.domain.errors import DispatcherError

IDLE_S = 0.1
"""Between two looks for subscriptions that are due."""
AWAY_S = 0.5
"""Between two attempts to reach the ledger."""

log = structlog.get_logger("workers")


async def deliver_events(app: App) -> None:
    """Deliver until this process is asked to stop; then wait for what is on its way, within the grace."""
    stopping = app.lane_tools.stopping
    turns: set[asyncio.Task[None]] = set()
    while not stopping.is_set():
        pause_s = IDLE_S
        try:
            free = app.settings.events_in_flight - len(turns)
            for turn in await app.deliveries.due(free) if free > 0 else ():
                task = asyncio.create_task(_serve(app, turn))
                turns.add(task)
                task.add_done_callback(turns.discard)
        except DispatcherError as error:
            log.warning("events wait for the ledger", error=str(error))
            pause_s = AWAY_S
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await stopping.wait()
    if turns:
        _, late = await asyncio.wait(turns, timeout=app.settings.stop_grace_s)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)


async def _serve(app: App, turn: DeliveryTurn) -> None:
    try:
        await app.deliveries.serve(turn)
    except DispatcherError as error:
        # why not raised: the lease runs out, and the next turn begins where the ledger says.
        log.warning("a delivery ended early", subscription=turn.subscription_id, error=str(error))
    except Exception as error:  # noqa: BLE001 - what breaks for one subscription leaves the others alone
        app.events.delivery_broke(turn, error)
