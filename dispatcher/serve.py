"""`python -m dispatcher.serve`: the HTTP process, from its settings to its graceful end.

It says where it is, as one line of JSON, once it accepts connections; so whoever starts it may leave the choice of the port
to it. Asked to stop (SIGTERM, SIGINT) it takes no new connection and answers what it has, within `stop_grace_s`.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import math
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TextIO

import orjson
import uvicorn
import uvloop
from starlette.types import ASGIApp

from dispatcher.app import open_app
from dispatcher.asgi import make_app
from dispatcher.domain.errors import BadValue, DispatcherError
from dispatcher.servers import located
from dispatcher.settings import Settings
from dispatcher.telemetry import set_up_logging

BACKLOG = 2048
IDLE_S = 75
"""An idle connection is closed after this; load balancers commonly close theirs after 60 s."""

Say = Callable[[str], None]
"""Told one line: where it is."""


class _Server(uvicorn.Server):
    """A server that says where it is, and whose exit status is 0 when it was asked to end."""

    def __init__(self, config: uvicorn.Config, say: Say, stopping: asyncio.Event) -> None:
        super().__init__(config)
        self._say = say
        self._stopping = stopping

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        await super().startup(sockets)
        if self.started and sockets:
            self._say(orjson.dumps({"url": _url_of(sockets[0]), "pid": os.getpid()}).decode())

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Asked to stop: streams that would go on for ever end now."""
        self._stopping.set()
        super().handle_exit(sig, frame)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to `startup`: uvicorn would raise them again at the end."""
        yield


def config_of(application: ASGIApp, *, stop_grace_s: float) -> uvicorn.Config:
    """How an application is served."""
    return uvicorn.Config(
        application,
        http="httptools",
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=IDLE_S,
        timeout_graceful_shutdown=math.ceil(stop_grace_s),
    )


async def _serve(settings: Settings, listener: socket.socket, say: Say) -> None:
    async with open_app(settings) as app:
        # why: as in the workers, looking for cycles costs more than there are.
        gc.freeze()
        gc.set_threshold(50_000, 20, 100)
        config = config_of(make_app(app), stop_grace_s=settings.stop_grace_s)
        await _Server(config, say, app.lane_tools.stopping).serve(sockets=[listener])


def _listen(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=BACKLOG
        )
    except (OSError, OverflowError) as error:
        raise BadValue(
            f"cannot listen on {host}, port {port}: {error}",
            hint="is another one running? choose a port with --port or the setting listen_port; 0 takes a free one",
        ) from error


def _url_of(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def main() -> int:
    """Exit status 0 after a graceful stop, 2 for unusable settings, 3 when a server is away at the start."""
    parser = argparse.ArgumentParser(prog="python -m dispatcher.serve", description=__doc__)
    parser.add_argument("--host", help="the address to listen on; the setting listen_host otherwise")
    parser.add_argument(
        "--port", type=int, help="the port; 0 takes a free one; the setting listen_port otherwise"
    )
    parser.add_argument(
        "--say", type=Path, help="the file that is told where it is, or why it does not start"
    )
    given = parser.parse_args()

    def say(line: str, stream: TextIO = sys.stdout) -> None:
        if given.say is not None:
            given.say.write_text(f"{line}\n")
        else:
            print(line, file=stream, flush=True)

    try:
        settings = Settings.load()
        set_up_logging(settings.log_level)
        host = settings.listen_host if given.host is None else given.host
        port = settings.listen_port if given.port is None else given.port
        with _listen(host, port) as listener, located(settings, start=False) as found:
            uvloop.run(_serve(found, listener, say))
    except DispatcherError as error:
        say(f"{error}\n{error.hint}" if error.hint else str(error), sys.stderr)
        return 2 if isinstance(error, ValueError) else 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
