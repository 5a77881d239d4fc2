"""`python -m workers ROLE [--processes N]`: one worker process, or several under a watchful parent.

Settings come from the environment and the TOML file, as everywhere.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import sys
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import uvloop

from dispatcher.app import App, open_app
from dispatcher.domain.errors import DispatcherError, LedgerUnavailable
from dispatcher.servers import located
from dispatcher.settings import Settings
from dispatcher.telemetry import set_up_logging
from workers.cores import keep_to_one_core
from workers.events import deliver_events
from workers.intake import take_in
from workers.lanes import lane_worker
from workers.processes import watch
from workers.replies import answer_the_bell, reply_worker
from workers.runtime import serve, stop_when_asked
from workers.upkeep import upkeep_worker, whole_worker


async def _get_ready(app: App) -> None:
    """Whoever cannot, because the server is busy or has no more connections, begins with what there is."""
    with contextlib.suppress(LedgerUnavailable):
        await app.lane_tools.turns.get_ready()


async def _lanes(app: App) -> None:
    await _get_ready(app)
    await serve(app, lambda: lane_worker(app))


async def _upkeep(app: App) -> None:
    await serve(app, lambda: upkeep_worker(app))


async def _replies(app: App) -> None:
    async with asyncio.TaskGroup() as both:
        both.create_task(serve(app, lambda: reply_worker(app)))
        both.create_task(answer_the_bell(app))


async def _all(app: App) -> None:
    await _get_ready(app)
    async with asyncio.TaskGroup() as all_of_them:
        all_of_them.create_task(serve(app, lambda: whole_worker(app)))
        all_of_them.create_task(_replies(app))
        all_of_them.create_task(take_in(app))
        all_of_them.create_task(deliver_events(app))


ROLES: Mapping[str, Callable[[App], Coroutine[Any, Any, None]]] = {
    "lanes": _lanes,
    "upkeep": _upkeep,
    "intake": take_in,
    "replies": _replies,
    "events": deliver_events,
    "all": _all,
}


async def _work(settings: Settings, role: str) -> None:
    async with open_app(settings) as app:
        stop_when_asked(app)
        # why: what is there now stays to the end, and what a message needs is freed by counting; looking for cycles after
        # every few hundred of them cost 4 % of the time (measured with py-spy).
        gc.freeze()
        gc.set_threshold(50_000, 20, 100)
        await ROLES[role](app)


def main() -> int:
    """Exit status 0 after a graceful stop, 2 for unusable settings, 3 when a server is away at the start."""
    parser = argparse.ArgumentParser(prog="python -m workers", description=__doc__)
    parser.add_argument("role", choices=ROLES)
    parser.add_argument("--processes", type=int, default=1, help="how many processes of this role")
    arguments = parser.parse_args()
    if arguments.processes < 1:
        parser.error("--processes must be at least 1")
    try:
        settings = Settings.load()
        set_up_logging(settings.log_level)
        with located(settings, start=False) as found:
            if arguments.processes > 1:
                return watch(
                    [sys.executable, "-m", "workers", arguments.role],
                    arguments.processes,
                    found.environment(),
                    grace_s=found.stop_grace_s + 1,
                )
            if found.one_core and arguments.role in ("lanes", "all"):
                # why before anything else: threads are started later, and inherit it.
                keep_to_one_core()
            uvloop.run(_work(found, arguments.role))
    except DispatcherError as error:
        sys.stderr.write(f"{error}\n" + (f"{error.hint}\n" if error.hint else ""))
        return 2 if isinstance(error, ValueError) else 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
