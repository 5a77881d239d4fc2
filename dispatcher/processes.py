"""Starts worker processes and the sandbox, each on a leash.

What they do is left to them; here is their command line, their environment, and how one learns that they are ready.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import orjson

from dispatcher.domain.errors import BadValue
from dispatcher.leash import Leash
from dispatcher.settings import Settings

_READY_WITHIN_S = 20.0
_LOOK_EVERY_S = 0.02
_WORKER_EXTRA_GRACE_S = 4.0
"""Beyond a worker's own grace: its parent waits for it, and we for the parent."""


def worker_command(role: str, processes: int) -> list[str]:
    """The command line of worker processes of one role."""
    return [sys.executable, "-m", "workers", role, "--processes", str(processes)]


def worker_environment(settings: Settings) -> dict[str, str]:
    """All of ours, the senders' tokens among it, and the settings on top."""
    return {**os.environ, **settings.environment()}


def start_workers(settings: Settings, role: str, processes: int) -> Leash:
    """Workers of one role under one parent, which ends them gracefully when it is stopped."""
    return Leash(
        worker_command(role, processes),
        env=worker_environment(settings),
        grace=timedelta(seconds=settings.stop_grace_s + _WORKER_EXTRA_GRACE_S),
    )


def sandbox_command(world: Path | None, port: int) -> list[str]:
    """The command line of the sandbox; port 0 chooses a free one."""
    command = [sys.executable, "-m", "dispatcher.sandbox", "--port", str(port)]
    return [*command, "--world", str(world)] if world is not None else command


def start_sandbox(world: Path | None, port: int) -> tuple[Leash, str]:
    """The sandbox and its address, once it accepts connections. Raises BadValue with what it complained about."""
    with tempfile.NamedTemporaryFile(prefix="dispatcher-sandbox-") as said:
        leash = Leash(sandbox_command(world, port), output=said)
        try:
            return leash, _address(leash, Path(said.name))
        except BaseException:
            leash.stop()
            raise


def _address(leash: Leash, said: Path) -> str:
    deadline = time.monotonic() + _READY_WITHIN_S
    while time.monotonic() < deadline:
        text = said.read_bytes()
        if leash.poll() is not None:
            raise BadValue(f"the sandbox did not start: {text.decode(errors='replace').strip()}")
        if text.startswith(b"{") and text.endswith(b"\n"):
            return str(orjson.loads(text.splitlines()[0])["url"])
        time.sleep(_LOOK_EVERY_S)
    raise BadValue(f"the sandbox did not say within {_READY_WITHIN_S:.0f} s where it is")
