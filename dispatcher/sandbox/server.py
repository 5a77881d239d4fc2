"""Serves a sandbox over HTTP until it is told to stop.

uvicorn with uvloop, the protocol of `wire`, and an end of its own: a signal ends the process with status 0,
within about a second, also while requests are waiting for an answer that will never come.
"""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import orjson
import uvicorn

from .app import Sandbox
from .wire import protocol_of

_BACKLOG = 1024


class _Server(uvicorn.Server):
    """A server that says where it is once it accepts connections, and ends quietly."""

    def __init__(self, config: uvicorn.Config, url: str) -> None:
        super().__init__(config)
        self._url = url

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        loop = asyncio.get_running_loop()
        for stop in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(stop, self.handle_exit, stop, None)
        await super().startup(sockets)
        if self.started:
            sys.stdout.write(orjson.dumps({"url": self._url, "pid": os.getpid()}).decode() + "\n")
            sys.stdout.flush()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to `startup`: uvicorn would raise them again at the end, and the status would not be 0."""
        yield


def serve(sandbox: Sandbox, host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT; print `{"url": …, "pid": …}` as one line when connections are accepted.

    port: 0 chooses a free one. Raises OSError when the address cannot be had.
    """
    with socket.create_server((host, port), family=_family(host), backlog=_BACKLOG) as listener:
        address, chosen_port = listener.getsockname()[:2]
        config = uvicorn.Config(
            sandbox,
            http=protocol_of(sandbox),
            loop="uvloop",
            ws="none",
            lifespan="off",
            access_log=False,
            log_level="warning",
            server_header=False,
            date_header=False,
            backlog=_BACKLOG,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=1,
        )
        shown = f"[{address}]" if ":" in address else address
        _Server(config, f"http://{shown}:{chosen_port}").run(sockets=[listener])


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
