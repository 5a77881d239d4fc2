"""The HTTP process: where it is, why it does not start, how it ends, and a ledger that restarts under it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from api_builders import PATH, VERIFY_TOKEN, signed
from support.waiting import wait_until

from dispatcher.domain.errors import BadValue
from dispatcher.embedded import EmbeddedPostgres
from dispatcher.leash import Leash
from dispatcher.ledger.database import Database
from dispatcher.processes import start_api
from dispatcher.settings import Settings

BODY = b'{"object":"whatsapp_business_account"}'


@asynccontextmanager
async def served(settings: Settings) -> AsyncIterator[tuple[Leash, httpx.AsyncClient]]:
    """A process, and a client for it."""
    leash, url = await asyncio.to_thread(start_api, settings)
    try:
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=20) as client:
            yield leash, client
    finally:
        await asyncio.to_thread(leash.stop)


async def bodies(database: Database) -> list[bytes]:
    return [row["body"] for row in await database.fetch("SELECT body FROM inbox ORDER BY id")]


async def test_a_request_that_waits_gets_its_answer_before_the_process_ends(
    api_settings: Settings, database: Database
) -> None:
    async with served(api_settings) as (process, client):
        async with database.transaction() as connection:
            await connection.execute("LOCK TABLE inbox IN ACCESS EXCLUSIVE MODE")
            answer = asyncio.create_task(client.post(PATH, content=BODY, headers=signed(BODY)))
            await wait_until(lambda: _waits_for_lock(connection), description="an insert waits")
            ending = asyncio.create_task(asyncio.to_thread(process.stop))
            await wait_until(lambda: _refuses(client), description="no new connection is taken")
            assert not answer.done()
        assert (await answer).status_code == 200
        assert await ending == 0
    assert await bodies(database) == [BODY]


async def _waits_for_lock(connection: object) -> bool:
    sql = "SELECT count(*) > 0 FROM pg_locks WHERE NOT granted AND relation = 'inbox'::regclass"
    return bool(await connection.fetchval(sql))  # type: ignore[attr-defined]


def _refuses(client: httpx.AsyncClient) -> bool:
    try:
        with socket.create_connection((client.base_url.host, client.base_url.port or 0), timeout=1):
            return False
    except OSError:
        return True


async def test_a_ledger_that_restarts_is_answered_for_and_found_again(
    api_settings: Settings, server_folder: Path
) -> None:
    with EmbeddedPostgres(server_folder / "restarting", durable=False) as server:
        settings = api_settings.model_copy(update={"database_url": server.url})
        async with served(settings) as (_, client):
            await asyncio.to_thread(server.stop)
            refused = await client.post(PATH, content=b"meanwhile", headers=signed(b"meanwhile"))
            assert refused.status_code == 503
            assert int(refused.headers["retry-after"]) > 0
            assert "PostgreSQL cannot be reached" in (await client.get("/readyz")).text
            await asyncio.to_thread(server.start)
            assert (await client.post(PATH, content=BODY, headers=signed(BODY))).status_code == 200
        database = await Database.open(server.url, connections=1)
        assert await bodies(database) == [BODY]
        await database.close()


def test_a_port_in_use_is_said(api_settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(BadValue, match=rf"cannot listen on 127.0.0.1, port {port}.*\n.*--port"):
            start_api(api_settings, port)


def test_a_secret_that_is_not_there_is_said_without_the_others(
    api_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("APP_SECRET_1")
    with pytest.raises(BadValue, match="the environment variable APP_SECRET_1 is not set") as error:
        start_api(api_settings)
    assert VERIFY_TOKEN not in str(error.value)
