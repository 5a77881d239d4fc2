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
import pytest
import redis

from dispatcher.embedded import EmbeddedPostgres, EmbeddedValkey
from dispatcher.ledger.database import Database

_TEMPLATE = "ledger_template"
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def server_folder() -> Iterator[Path]:
    """Where the servers of this run live. Not pytest's own: for root, PostgreSQL runs as nobody, who may not enter there."""
    folder = Path(tempfile.mkdtemp(prefix="dispatcher-tests-"))
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
    await _execute(postgres.url, f"CREATE DATABASE {name} TEMPLATE {ledger_template}")
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


def _url_of(postgres: EmbeddedPostgres, database: str) -> str:
    return urlsplit(postgres.url)._replace(path=f"/{database}").geturl()


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
