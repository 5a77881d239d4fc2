"""The upkeep worker: the duties of `engine/upkeep.py` by the clock, once per tick however many workers there are."""

from __future__ import annotations

from typing import Any

import structlog
from arq import cron
from arq.cron import CronJob
from arq.worker import Worker

from dispatcher.app import App
from dispatcher.domain.errors import DispatcherError
from workers.lanes import turn_function, wake_again
from workers.runtime import worker_options

EVERY_SECOND = set(range(60))
EVERY_FIVE_SECONDS = set(range(0, 60, 5))

log = structlog.get_logger("workers")


async def keep_lanes_going(ctx: dict[str, Any]) -> None:
    """Reap the dead, wake the due."""
    app: App = ctx["app"]
    try:
        await app.upkeep.reap()
        await app.upkeep.sweep()
    except DispatcherError as error:
        log.warning("upkeep could not do its round", error=str(error))


async def keep_replies_going(ctx: dict[str, Any]) -> None:
    """The same for replies."""
    app: App = ctx["app"]
    try:
        await app.reply_lane.reap()
        await app.reply_lane.sweep()
    except DispatcherError as error:
        log.warning("upkeep could not do its round for replies", error=str(error))


async def settle_unsure(ctx: dict[str, Any]) -> None:
    """Unsure messages: by a receipt that came early, else by the campaign's policy."""
    app: App = ctx["app"]
    try:
        await app.intake.settle_late()
        await app.unsure.decide()
        await app.unsure_replies.decide()
        await app.inbox.retry_due()
    except DispatcherError as error:
        log.warning("upkeep could not look after unsure messages", error=str(error))


async def look_after_events(ctx: dict[str, Any]) -> None:
    """Events that nobody takes."""
    app: App = ctx["app"]
    try:
        await app.deliveries.upkeep()
    except DispatcherError as error:
        log.warning("upkeep could not look after events", error=str(error))


async def refresh_senders(ctx: dict[str, Any]) -> None:
    """Tell the limits how senders stand, and the witness how far the ledger has come."""
    app: App = ctx["app"]
    try:
        await app.upkeep.beat()
        await app.upkeep.refresh()
    except DispatcherError as error:
        log.warning("upkeep could not refresh the senders", error=str(error))


async def leave_behind(ctx: dict[str, Any]) -> None:
    """Prepare the next partition, delete what is left of old ones; a bounded piece per round."""
    app: App = ctx["app"]
    try:
        await app.archive.keep_going()
    except DispatcherError as error:
        log.warning("upkeep could not look after what is old", error=str(error))


async def drop_old(ctx: dict[str, Any]) -> None:
    """Drop the people of old campaigns."""
    app: App = ctx["app"]
    try:
        await app.archive.drop_old()
    except DispatcherError as error:
        log.warning("upkeep could not drop old campaigns", error=str(error))


def duties(app: App) -> list[CronJob]:
    """All duties. Their names carry the ledger's, since arq keeps one job per name and second in a whole Redis."""
    prefix = app.jobs.queue
    return [
        cron(keep_lanes_going, name=f"{prefix}:lanes", second=EVERY_SECOND, keep_result=0, timeout=60),
        cron(keep_replies_going, name=f"{prefix}:replies", second=EVERY_SECOND, keep_result=0, timeout=60),
        cron(settle_unsure, name=f"{prefix}:unsure", second=EVERY_FIVE_SECONDS, keep_result=0, timeout=60),
        cron(
            look_after_events, name=f"{prefix}:events", second=EVERY_FIVE_SECONDS, keep_result=0, timeout=60
        ),
        cron(leave_behind, name=f"{prefix}:archive", second=30, keep_result=0, timeout=60),
        # why no more time: after a kill, arq blocks every job of the worker for as long as the longest may take.
        cron(drop_old, name=f"{prefix}:drop", minute=17, second=45, keep_result=0, timeout=60),
        cron(refresh_senders, name=f"{prefix}:senders", second=EVERY_FIVE_SECONDS, keep_result=0, timeout=60),
    ]


def upkeep_worker(app: App) -> Worker:
    """An arq worker for the duties alone."""
    return Worker(cron_jobs=duties(app), queue_name=f"{app.jobs.queue}:upkeep", **worker_options(app))


def whole_worker(app: App) -> Worker:
    """An arq worker for turns and duties."""
    return Worker(
        [turn_function()],
        cron_jobs=duties(app),
        queue_name=app.jobs.queue,
        after_job_end=wake_again,
        max_jobs=app.settings.lanes_per_worker,
        **worker_options(app),
    )
