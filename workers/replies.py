"""The reply worker: an arq worker with a queue of its own, and an ear for the bell, so that a reply is looked at at once."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import structlog
from arq.worker import Function, Worker, func

from dispatcher.app import App, redis_client
from dispatcher.domain.errors import DispatcherError
from dispatcher.domain.ids import SenderId
from dispatcher.queues.reply_wakes import REPLY_TURN
from workers.runtime import worker_options

POLL_DELAY_S = 0.02
"""Between two looks into the queue."""
LISTEN = timedelta(milliseconds=500)
"""How long a worker waits at the bell before it looks whether it shall stop; less where Redis is given less time to answer."""
TURN_TIMEOUT_S = 120
"""Far beyond slice, posts and last settles; it only ends a turn that hangs."""
JOBS_MOST = 200
"""Senders that one process serves at once, and wake-ups that it reads at once."""

log = structlog.get_logger("workers")


async def reply_turn(ctx: dict[str, Any], sender_id: int) -> None:
    """Look at a sender's replies."""
    app: App = ctx["app"]
    try:
        await app.reply_lane.serve(SenderId(sender_id))
    except DispatcherError as error:
        # why not raised: arq would only log it. The replies are found again by upkeep: due, or with a lease run out.
        log.warning("a reply turn ended early", sender=sender_id, error=str(error))


async def answer_the_bell(app: App) -> None:
    """Look at the replies of whomever the bell is rung for, until this process is asked to stop; then wait for those turns.

    Like arq's jobs they may finish within the grace, and are broken off after it.
    """
    stopping = app.lane_tools.stopping
    listen = min(LISTEN, timedelta(seconds=app.settings.limits_timeout_s / 2))
    turns: set[asyncio.Task[None]] = set()
    while not stopping.is_set():
        sender_id = await app.reply_jobs.heard(listen)
        if sender_id is not None:
            turn = asyncio.create_task(reply_turn({"app": app}, sender_id))
            turns.add(turn)
            turn.add_done_callback(turns.discard)
    if turns:
        _, late = await asyncio.wait(turns, timeout=app.settings.stop_grace_s)
        for turn in late:
            turn.cancel()
        await asyncio.gather(*late, return_exceptions=True)


def reply_function() -> Function:
    """The job under its name."""
    return func(reply_turn, name=REPLY_TURN, timeout=TURN_TIMEOUT_S, keep_result=0)


def reply_worker(app: App) -> Worker:
    """An arq worker for replies."""
    queue = app.reply_jobs.queue
    options = {
        **worker_options(app),
        # why a client of its own: arq closes the one that it has when it ends, under the hands of another worker.
        "redis_pool": redis_client(app.settings),
        "poll_delay": POLL_DELAY_S,
        "health_check_key": f"{queue}:alive",
    }
    return Worker([reply_function()], queue_name=queue, max_jobs=JOBS_MOST, **options)
