"""A real server on a free port, over a ledger of the test's own."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import httpx
import pytest
import uvicorn
from api_builders import APP_SECRET, VERIFY_TOKEN, Street

from dispatcher.app import App, open_app
from dispatcher.asgi import make_app
from dispatcher.ledger.inbox import LedgerInbox
from dispatcher.serve import config_of
from dispatcher.settings import Settings


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


@pytest.fixture
def api_settings(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, database_url: str, redis_url: str
) -> Settings:
    """With two secrets and a verify token; `@pytest.mark.settings(webhook_wait_s=1)` changes them."""
    for name in [name for name in os.environ if name.startswith("DISPATCHER_")]:
        monkeypatch.delenv(name)
    for n, secret in enumerate(APP_SECRET):
        monkeypatch.setenv(f"APP_SECRET_{n}", secret)
    monkeypatch.setenv("VERIFY_TOKEN", VERIFY_TOKEN)
    ours = {
        "database_url": database_url,
        "redis_url": redis_url,
        "webhook_secrets": [f"env:APP_SECRET_{n}" for n in range(len(APP_SECRET))],
        "webhook_verify_token": "env:VERIFY_TOKEN",
    }
    marked = request.node.get_closest_marker("settings")
    return Settings.load(**ours | (marked.kwargs if marked else {}))


@asynccontextmanager
async def _served(app: App) -> AsyncIterator[str]:
    """The application at an address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = _Server(config_of(make_app(app), stop_grace_s=2))
        running = asyncio.create_task(server.serve(sockets=[listener]))
        await server.is_up.wait()
        yield "http://{}:{}".format(*listener.getsockname())
        server.should_exit = True
        await running


@pytest.fixture
async def street(api_settings: Settings) -> AsyncIterator[Street]:
    """What the world sees of the house, and the inbox behind it."""
    async with open_app(api_settings, migrate=False) as app, _served(app) as url:
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=20) as client:
            yield Street(client, url, LedgerInbox(app.database), app)
        await app.redis.connection_pool.disconnect()
