"""Real worker processes, `python -m workers`, for as long as a block runs."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from dispatcher.leash import Leash
from dispatcher.settings import Settings
from support.meta import STOP_WITHIN


@asynccontextmanager
async def worker_processes(
    settings: Settings, n: int = 1, role: str = "all", *, log: Path
) -> AsyncIterator[Sequence[Leash]]:
    """Run `n` processes of a role; what they say goes to `log`, and to the test's output at the end."""
    environment = {**os.environ, **settings.environment(), "DISPATCHER_LOG_LEVEL": "info"}
    with log.open("ab") as output:
        running = [
            Leash([sys.executable, "-m", "workers", role], env=environment, output=output, grace=STOP_WITHIN)
            for _ in range(n)
        ]
        try:
            yield running
        finally:
            for process in running:
                process.send_signal(signal.SIGTERM)
            for process in running:
                await asyncio.to_thread(process.stop)
            sys.stdout.write(await asyncio.to_thread(log.read_text))
