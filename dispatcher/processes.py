"""Starts worker processes, the HTTP process and the sandbox, each on a leash.

What they do is left to them; here is their command line, their environment, and how one learns that they are ready.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path
from typing import IO

import orjson

from dispatcher.domain.errors import BadValue
from dispatcher.leash import Leash
from dispatcher.settings import Settings

_READY_WITHIN_S = 20.0
_LOOK_EVERY_S = 0.02
_WORKER_EXTRA_GRACE_S = 4.0
"""Beyond a worker's own grace: its parent waits for it, and we for the parent."""
_API_EXTRA_GRACE_S = 2.0
"""Beyond the grace of its requests: it also closes what it has opened."""


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


def api_command(host: str | None, port: int | None) -> list[str]:
    """The command line of the HTTP process; None leaves it to the settings, port 0 chooses a free one."""
    command = [sys.executable, "-m", "dispatcher.serve"]
    command += ["--host", host] if host is not None else []
    return command + (["--port", str(port)] if port is not None else [])


def start_api(settings: Settings, port: int | None = 0) -> tuple[Leash, str]:
    """The HTTP process and its address, once it accepts connections. Raises BadValue with what it complained about."""
    with _said() as said:
        leash = Leash(
            [*api_command(None, port), "--say", said.name],
            env=worker_environment(settings),
            grace=timedelta(seconds=settings.stop_grace_s + _API_EXTRA_GRACE_S),
        )
        return leash, _address_or_stop("the HTTP process", leash, said)


def sandbox_command(world: Path | None, port: int) -> list[str]:
    """The command line of the sandbox; port 0 chooses a free one."""
    command = [sys.executable, "-m", "dispatcher.sandbox", "--port", str(port)]
    return [*command, "--world", str(world)] if world is not None else command


def start_sandbox(world: Path | None, port: int) -> tuple[Leash, str]:
    """The sandbox and its address, once it accepts connections. Raises BadValue with what it complained about."""
    with _said() as said:
        leash = Leash(sandbox_command(world, port), output=said)
        return leash, _address_or_stop("the sandbox", leash, said)


def _said() -> AbstractContextManager[IO[bytes]]:
    """A file for what a process says about its start."""
    return tempfile.NamedTemporaryFile(prefix="dispatcher-")


def _address_or_stop(what: str, leash: Leash, said: IO[bytes]) -> str:
    try:
        return _address(what, leash, Path(said.name))
    except BaseException:
        leash.stop()
        raise


def _address(what: str, leash: Leash, said: Path) -> str:
    """Wait for the line that tells it."""
    deadline = time.monotonic() + _READY_WITHIN_S
    while time.monotonic() < deadline:
        has_ended = leash.poll() is not None
        text = said.read_bytes()
        if text.startswith(b"{") and text.endswith(b"\n"):
            return str(orjson.loads(text.splitlines()[0])["url"])
        if has_ended:
            raise BadValue(f"{what} did not start: {text.decode(errors='replace').strip()}")
        time.sleep(_LOOK_EVERY_S)
    raise BadValue(f"{what} did not say within {_READY_WITHIN_S:.0f} s where it is")
