"""What all tests share: one private PostgreSQL and one private Valkey per run, and something fresh in them per test."""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import httpx
import hypothesis
import pytest
import redis
from support.builders import TOKEN_VARIABLE
from support.ledger import Ledger
from support.meta import APP_SECRET, TOKEN, VERIFY_TOKEN, Meta, sandbox_process
from support.world import World

from dispatcher.app import open_app
from dispatcher.embedded import EmbeddedPostgres, EmbeddedValkey
from dispatcher.ledger.database import Database
from dispatcher.settings import Settings

# `pytest --hypothesis-profile=nightly tests/contracts/test_limits_model.py tests/channel` looks for new stories.
hypothesis.settings.register_profile("nightly", max_examples=2_000)

_TEMPLATE = "ledger_template"
_IN_MEMORY = Path("/dev/shm")
_ROOM_BYTES = 4 * 2**30
"""More than the servers of a run ever hold, logs included."""
_numbers = itertools.count(1)


def pytest_configure(config: pytest.Config) -> None:
    """Markers of our own."""
    config.addinivalue_line(
        "markers", "settings(**values): settings of the test's `world`, as in settings.py"
    )


@pytest.fixture(scope="session")
def server_folder() -> Iterator[Path]:
    """Where the servers of this run live. Not pytest's own: for root, PostgreSQL runs as nobody, who may not enter there.

    In memory where there is room: a database per test is some six hundred files, which take ten times as long on a disk.
    """
    has_room = os.access(_IN_MEMORY, os.W_OK) and shutil.disk_usage(_IN_MEMORY).free > _ROOM_BYTES
    folder = Path(tempfile.mkdtemp(prefix="dispatcher-tests-", dir=_IN_MEMORY if has_room else None))
    if os.geteuid() == 0:
        folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def postgres(server_folder: Path) -> Iterator[EmbeddedPostgres]:
    """One PostgreSQL for the whole run."""
    with EmbeddedPostgres(server_folder, durable=False) as server:
        yield server


@pytest.fixture(scope="session")
def ledger_template(postgres: EmbeddedPostgres) -> str:
    """The name of a migrated, empty database, of which copies are made."""

    async def make() -> None:
        await _execute(postgres.url, f"CREATE DATABASE {_TEMPLATE}")
        database = await Database.open(_url_of(postgres, _TEMPLATE), connections=1)
        await database.migrate()
        await database.close()

    asyncio.run(make())
    return _TEMPLATE


@pytest.fixture
async def database_url(postgres: EmbeddedPostgres, ledger_template: str) -> AsyncIterator[str]:
    """A migrated, empty database of the test's own; for tests that start processes."""
    name = f"test_{next(_numbers)}"
    await _execute(postgres.url, f"CREATE DATABASE {name} TEMPLATE {ledger_template} STRATEGY FILE_COPY")
    yield _url_of(postgres, name)
    await _execute(postgres.url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """The same, opened."""
    opened = await Database.open(database_url, connections=4)
    yield opened
    await opened.close()


@pytest.fixture(scope="session")
def valkey(server_folder: Path) -> Iterator[EmbeddedValkey]:
    """One Valkey for the whole run."""
    with EmbeddedValkey(server_folder) as server:
        yield server


@pytest.fixture
def redis_url(valkey: EmbeddedValkey) -> str:
    """An empty Valkey; scripts of earlier tests are gone, too."""
    with redis.Redis.from_url(valkey.url) as client:
        client.flushall()
        client.script_flush()
    return valkey.url


@pytest.fixture
def ledger(database: Database) -> Ledger:
    """The ledger's ports on an empty database, with builders."""
    return Ledger(database)


@pytest.fixture(scope="session")
def sandbox_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One sandbox process for the whole run."""
    with sandbox_process(tmp_path_factory.mktemp("sandbox")) as url:
        yield url


@pytest.fixture
async def meta(sandbox_url: str) -> AsyncIterator[Meta]:
    """The sandbox, with an empty record and an account of the test's own."""
    async with httpx.AsyncClient(base_url=sandbox_url, trust_env=False) as client:
        meta = Meta(client)
        await meta.begin()
        yield meta


@pytest.fixture
async def world(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    database_url: str,
    redis_url: str,
    sandbox_url: str,
    meta: Meta,
) -> AsyncIterator[World]:
    """A whole house of the test's own, and Meta beside it. `@pytest.mark.settings(lease_s=2)` changes settings."""
    for name, value in {
        TOKEN_VARIABLE: TOKEN,
        "APP_SECRET": APP_SECRET,
        "VERIFY_TOKEN": VERIFY_TOKEN,
    }.items():
        monkeypatch.setenv(name, value)
    marked = request.node.get_closest_marker("settings")
    urls = {"database_url": database_url, "redis_url": redis_url, "graph_url": sandbox_url}
    secrets = {
        "webhook_secrets": ["env:APP_SECRET"],
        "webhook_verify_token": "env:VERIFY_TOKEN",
        "seal_key": "env:SEAL_KEY",
    }
    settings = Settings.load(**urls | secrets | (marked.kwargs if marked else {}))
    async with open_app(settings, migrate=False) as app:
        yield World(app, meta, tmp_path)
        await app.redis.connection_pool.disconnect()


def _url_of(postgres: EmbeddedPostgres, database: str) -> str:
    return urlsplit(postgres.url)._replace(path=f"/{database}").geturl()


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
