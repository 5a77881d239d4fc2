"""`python -m workers ROLE [--processes N]`: one worker process, or several under a watchful parent.

Settings come from the environment and the TOML file, as everywhere.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping

import uvloop
from arq.worker import Worker

from dispatcher.app import App, open_app
from dispatcher.domain.errors import DispatcherError
from dispatcher.servers import located
from dispatcher.settings import Settings
from dispatcher.telemetry import set_up_logging
from workers.lanes import lane_worker
from workers.processes import watch
from workers.runtime import serve
from workers.upkeep import upkeep_worker, whole_worker

ROLES: Mapping[str, Callable[[App], Worker]] = {
    "lanes": lane_worker,
    "upkeep": upkeep_worker,
    "all": whole_worker,
}


async def _work(settings: Settings, role: str) -> None:
    async with open_app(settings) as app:
        await serve(app, lambda: ROLES[role](app))


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
            uvloop.run(_work(found, arguments.role))
    except DispatcherError as error:
        sys.stderr.write(f"{error}\n" + (f"{error.hint}\n" if error.hint else ""))
        return 2 if isinstance(error, ValueError) else 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
