"""One worker process: an arq worker that outlives Redis and ends gracefully.

arq's worker stops at the first lost connection; this one begins again when Redis is back. Asked to stop (SIGTERM, SIGINT)
it takes no new job, lets the running ones finish what is in flight, and is gone within the grace.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Callable
from typing import Any

import structlog
from arq.constants import in_progress_key_prefix, job_key_prefix, retry_key_prefix
from arq.worker import Worker
from redis.exceptions import RedisError

from dispatcher.app import App

_PAUSE_S = 0.25
"""Between two attempts to reach Redis, and between two to end arq's loop."""

log = structlog.get_logger("workers")


async def serve(app: App, make_worker: Callable[[], Worker]) -> None:
    """Run workers until asked to stop; a new one after each loss of Redis."""
    stopping = app.lane_tools.stopping
    while not stopping.is_set():
        worker = make_worker()
        run = asyncio.create_task(worker.async_run())
        stop = asyncio.create_task(stopping.wait())
        await asyncio.wait((run, stop), return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        await _wind_down(worker, run, grace_s=app.settings.stop_grace_s)
        if not stopping.is_set():
            await _wait_for_redis(app, stopping)
            await _release(app, worker)


def stop_when_asked(app: App) -> None:
    """SIGTERM and SIGINT ask for a graceful end."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, app.lane_tools.stopping.set)


async def _wind_down(worker: Worker, run: asyncio.Task[None], *, grace_s: float) -> None:
    """Let running jobs end by themselves, then by force. `run` has failed, or is ended here."""
    worker.allow_pick_jobs = False
    ends_s = time.monotonic() + grace_s
    while True:
        # why a pause: arq's round under way still starts its jobs; cut off there, arq's marks block their lanes for minutes.
        await asyncio.wait((run,), timeout=_PAUSE_S)
        jobs = [job for job in worker.tasks.values() if not job.done()]
        if not jobs:
            break
        _, late = await asyncio.wait(jobs, timeout=max(0.0, ends_s - time.monotonic()))
        for job in late:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)
    # why again and again: a cancellation that meets one of redis-py's own time-outs can get lost there.
    while not run.done():
        run.cancel()
        await asyncio.wait((run,), timeout=_PAUSE_S)
    try:
        run.result()
    except asyncio.CancelledError:
        pass
    except (RedisError, OSError) as error:
        log.warning("the worker lost Redis and begins again when it is back", error=str(error))


async def _wait_for_redis(app: App, stopping: asyncio.Event) -> None:
    while not stopping.is_set():
        try:
            await app.redis.ping()
        except (RedisError, OSError):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PAUSE_S):
                    await stopping.wait()
        else:
            return


async def _release(app: App, worker: Worker) -> None:
    """Take away arq's marks of jobs that ended while Redis was away; they would block their lanes for minutes."""
    if not worker.tasks:
        return
    keys = [
        prefix + job
        for job in worker.tasks
        for prefix in (in_progress_key_prefix, job_key_prefix, retry_key_prefix)
    ]
    with contextlib.suppress(RedisError, OSError):
        await app.redis.delete(*keys)
        await app.redis.zrem(worker.queue_name, *worker.tasks)


def worker_options(app: App) -> dict[str, Any]:
    """What all our arq workers share."""
    return {
        "redis_pool": app.redis,
        "handle_signals": False,
        "keep_result": 0,
        "log_results": False,
        "poll_delay": 0.05,
        "health_check_interval": 10,
        "health_check_key": f"{app.jobs.queue}:alive",
        "max_tries": 1_000_000,
        "ctx": {"app": app},
    }
