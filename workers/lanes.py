"""The lane worker: one arq job is one turn of a lane.

A job cannot queue its own id while it runs, so the next turn is asked for after the job has ended.
"""

from __future__ import annotations

from typing import Any

import structlog
from arq.worker import Function, Worker, func

from dispatcher.app import App
from dispatcher.domain.errors import DispatcherError
from dispatcher.domain.ids import LaneId
from dispatcher.engine.lane import run_turn
from dispatcher.queues.wakes import TURN
from workers.runtime import worker_options

TURN_TIMEOUT_S = 120
"""Far beyond slice, posts and last settles; it only ends a turn that hangs."""

log = structlog.get_logger("workers")


async def turn(ctx: dict[str, Any], lane_id: int) -> None:
    """Run one turn of a lane."""
    app: App = ctx["app"]
    try:
        ctx["next"] = await run_turn(app.lane_tools, LaneId(lane_id))
    except DispatcherError as error:
        # why not raised: arq would only log it. The lane is found again by upkeep: due, or with a lease run out.
        log.warning("a turn ended early", lane=lane_id, error=str(error))


async def wake_again(ctx: dict[str, Any]) -> None:
    """Ask for the lane's next turn, when there is to be one."""
    following = ctx.get("next")
    if following is not None and following.at is not None:
        await ctx["app"].jobs.wake(following.lane, following.at)


def turn_function() -> Function:
    """The job under its name."""
    return func(turn, name=TURN, timeout=TURN_TIMEOUT_S, keep_result=0)


def lane_worker(app: App) -> Worker:
    """An arq worker for turns."""
    return Worker(
        [turn_function()],
        queue_name=app.jobs.queue,
        after_job_end=wake_again,
        max_jobs=app.settings.lanes_per_worker,
        **worker_options(app),
    )
