"""The reply worker: an arq worker with a queue of its own and a short poll, so that a reply is looked at at once."""

from __future__ import annotations

from typing import Any

import structlog
from arq.worker import Function, Worker, func

from dispatcher.app import App, redis_client
from dispatcher.domain.errors import DispatcherError
from dispatcher.domain.ids import SenderId
from dispatcher.queues.reply_wakes import REPLY_TURN
from workers.runtime import worker_options

POLL_DELAY_S = 0.02
"""Between two looks into the queue; on average half of it is what arq adds to a reply's way."""
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
