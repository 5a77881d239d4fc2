"""A real server on a free port, over a ledger of the test's own."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

import httpx
import pytest
from api_builders import APP_SECRET, VERIFY_TOKEN, Street
from front_door import FrontDoor
from support.street import served
from support.world import World

from dispatcher.app import open_app
from dispatcher.domain.access import Scope
from dispatcher.domain.rate import Rate
from dispatcher.ledger.inbox import LedgerInbox
from dispatcher.settings import Settings
from dispatcher.vault import new_key


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


@pytest.fixture
async def street(api_settings: Settings) -> AsyncIterator[Street]:
    """What the world sees of the house, and the inbox behind it."""
    async with open_app(api_settings, migrate=False) as app, served(app) as url:
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=20) as client:
            yield Street(client, url, LedgerInbox(app.database), app)
        await app.redis.connection_pool.disconnect()


@pytest.fixture
def seal_key(monkeypatch: pytest.MonkeyPatch) -> str:
    """A key for sealing tokens, in the environment."""
    monkeypatch.setenv("SEAL_KEY", key := new_key())
    return key


@pytest.fixture
async def door(seal_key: str, world: World) -> AsyncIterator[FrontDoor]:
    """A whole house with one sender, and its API on a real socket."""
    await world.a_sender("harbour")
    async with (
        served(world.app) as url,
        httpx.AsyncClient(base_url=url, trust_env=False, timeout=30) as client,
    ):
        _, key = await world.app.access.create("test", set(Scope), rate=Rate.parse("1000000/s"))
        yield FrontDoor(client, url, world, key)
