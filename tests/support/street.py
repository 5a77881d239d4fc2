"""The HTTP application on a real socket, in the test's own process: the quick way to have webhooks taken."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from starlette.types import ASGIApp

from dispatcher.app import App
from dispatcher.asgi import make_app
from dispatcher.serve import config_of


class _Server(uvicorn.Server):
    """Says when it accepts connections, and leaves signals to pytest."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.is_up.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def served(app: App) -> AsyncIterator[str]:
    """The application at an address."""
    async with serving(make_app(app)) as url:
        yield url


@asynccontextmanager
async def serving(application: ASGIApp) -> AsyncIterator[str]:
    """Any application at an address, served as ours is."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = _Server(config_of(application, stop_grace_s=2))
        running = asyncio.create_task(server.serve(sockets=[listener]))
        await server.is_up.wait()
        try:
            yield "http://{}:{}".format(*listener.getsockname())
        finally:
            server.should_exit = True
            await running
