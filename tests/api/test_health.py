"""`/livez` and `/readyz`: what they say, and that a cause is named."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from importlib.metadata import version

import httpx
from api_builders import Street
from starlette.applications import Starlette

from dispatcher.api.health import Health

NOWHERE = "redis://127.0.0.1:1/0"


async def test_a_house_in_order_is_alive_and_ready(street: Street) -> None:
    assert (await street.client.get("/livez")).status_code == 200
    answer = await street.client.get("/readyz")
    assert answer.status_code == 200
    told = answer.json()
    assert told.pop("version") == version("whatsapp-dispatcher")
    assert told == {"ok": True, "causes": [], "inbox": {"bodies": 0, "oldest_s": 0.0}}


async def test_it_tells_how_long_webhooks_have_waited(street: Street) -> None:
    await street.inbox.add([b"{}", b"{}"], within=timedelta(seconds=5))
    await street.app.database.execute("UPDATE inbox SET received_at = ledger_now() - interval '1 hour'")
    answer = await street.client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json()["inbox"]["bodies"] == 2
    assert 3_600 <= answer.json()["inbox"]["oldest_s"] < 3_700


async def test_what_is_away_is_named(street: Street) -> None:
    settings = street.app.settings.model_copy(update={"redis_url": NOWHERE})
    health = Health(replace(street.app, settings=settings), street.inbox)
    transport = httpx.ASGITransport(Starlette(routes=health.routes))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        answer = await client.get("/readyz")
        assert (await client.get("/livez")).status_code == 200
    assert answer.status_code == 503
    [cause] = answer.json()["causes"]
    assert "Redis cannot be reached" in cause


async def test_a_ledger_that_hangs_is_a_cause(street: Street) -> None:
    async with street.ledger_hangs():
        answer = await street.client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["inbox"] is None
    assert answer.json()["causes"] == ["PostgreSQL did not answer within 2 s"]
