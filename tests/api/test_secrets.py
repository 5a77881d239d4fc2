"""No secret leaves the house: not in an answer, an error, an export, the log of orders, the document, or a log line."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import pytest
from front_door import FrontDoor, ndjson, people
from support.builders import TOKEN_VARIABLE
from support.meta import APP_SECRET, TOKEN, VERIFY_TOKEN

from dispatcher.domain.access import Scope
from dispatcher.domain.campaign import Campaign
from dispatcher.domain.rate import Rate
from dispatcher.leash import Leash
from dispatcher.processes import api_command, worker_environment

RELAY_SECRET, RELAY_WORD = "a-secret-of-a-relay", "the-word-of-a-callback"
NEW_TOKEN = "EAAG-a-token-that-came-over-the-api"


async def everything_said(door: FrontDoor, client: httpx.AsyncClient, key: str) -> str:
    """Every answer that can be had, wanted and unwanted."""
    said: list[str] = []
    headers = {"Authorization": f"Bearer {key}"}

    async def ask(method: str, path: str, **how: object) -> httpx.Response:
        answer = await client.request(
            method, path, headers={**headers, "Idempotency-Key": f"call-{len(said)}"}, **how
        )
        said.append(f"{answer.status_code} {answer.headers} {answer.text}")
        return answer

    number = {
        "name": "beach",
        "phone": "+12025550100",
        "phone_number_id": "200000000000777",
        "waba_id": "100000000000777",
        "token": NEW_TOKEN,
    }
    assert (await ask("POST", "/v1/senders", json=number)).status_code == 201
    await ask("POST", "/v1/senders", json=number)
    await ask("POST", "/v1/senders", json=number | {"phone": 7})
    await ask("POST", "/v1/senders", json=number | {"name": "x", "token": f"{NEW_TOKEN}\n"})
    await ask("PATCH", "/v1/senders/beach", json={"token": NEW_TOKEN, "rate": "0/s"})
    await ask("POST", "/v1/senders/beach/templates")
    listener = {"url": "http://127.0.0.1:9/events?token=in-the-address", "kinds": ["*"]}
    assert (await ask("POST", "/v1/subscriptions", json=listener)).status_code == 201
    await ask("POST", "/v1/subscriptions", json=listener | {"kinds": ["no"]})
    for order in ("ping", "rotate-secret"):
        assert (await ask("POST", f"/v1/subscriptions/1/{order}")).status_code == 200
    campaign = await door.a_draft()
    await door.stream(campaign, ndjson(people(3)))
    document = (await ask("GET", "/v1/openapi.json")).json()
    for path, item in document["paths"].items():
        for method in item:
            if path.endswith("/events"):
                continue
            filled = path.replace("{campaign_id}", str(campaign)).replace("{name}", "beach")
            filled = filled.replace("{message_id}", "1").replace("{key_id}", "999").replace("{piece_id}", "1")
            filled = filled.replace("{subscription_id}", "1")
            filled = (
                filled.replace("{reply_id}", "1").replace("{conversation_id}", "1").replace("{person}", "x")
            )
            await ask(method.upper(), filled, json={} if method != "get" else None)
            await ask(method.upper(), filled, params={"cursor": "x", "limit": "x"}, content=b"{")
    await everything_said_by_the_gateway(door, ask)
    for path in ("/livez", "/readyz", "/v1/audit?limit=1000", "/webhooks/whatsapp"):
        await ask("GET", path)
    return "\n".join(said)


async def everything_said_by_the_gateway(
    door: FrontDoor, ask: Callable[..., Awaitable[httpx.Response]]
) -> None:
    """The same of Meta's doors, with a sender that Meta knows and one that it does not."""
    relay = {"url": "http://127.0.0.1:1/hook", "app_secret": RELAY_SECRET, "verify_token": RELAY_WORD}
    assert (await ask("POST", "/v1/relays", json=relay)).status_code == 422
    await ask("POST", "/v1/relays", json=relay | {"verify_token": f"{RELAY_WORD}\n"})
    harbour, meta = await door.world.app.senders.named("harbour"), door.world.meta
    for number_id in (harbour.phone_number_id, "200000000000777"):
        for said in ({}, {"messaging_product": "whatsapp", "status": "read", "message_id": "x"}):
            await ask("POST", f"/v25.0/{number_id}/messages", json=said)
        files = {"file": ("a.png", b"x", "image/png"), "messaging_product": (None, "whatsapp")}
        uploaded = await ask("POST", f"/v25.0/{number_id}/media", files=files)
        await ask("GET", f"/v25.0/{uploaded.json().get('id', 1)}")
        await ask("GET", f"/v25.0/{number_id}?access_token=x")
    for template in ("spring", "summer"):
        body = [{"type": "BODY", "text": "Hello."}]
        await meta.has_template(
            {"name": template, "language": "en_US", "category": "UTILITY", "components": body}
        )
    page = await ask("GET", f"/v25.0/{meta.waba_id}/message_templates?limit=1")
    assert "next" in page.json()["paging"]


@pytest.mark.settings(events_networks=["127.0.0.0/8"])
async def test_no_secret_is_in_any_answer_or_in_the_log(
    door: FrontDoor, tmp_path: Path, seal_key: str
) -> None:
    app = door.world.app
    _, key = await app.access.create("outsider", set(Scope), rate=Rate.parse("100000/s"))
    settings = app.settings.model_copy(update={"log_level": "debug"})
    log = tmp_path / "api.log"
    said_at = tmp_path / "said"
    with log.open("wb") as output:
        process = Leash(
            [*api_command(None, 0), "--say", str(said_at)], env=worker_environment(settings), output=output
        )
        try:
            url = await asyncio.to_thread(_address, said_at)
            async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=30) as client:
                said = await everything_said(door, client, key)
        finally:
            await asyncio.to_thread(process.stop)
    rows = await app.database.fetch("SELECT token_ref FROM senders WHERE name = 'beach'")
    sealed = rows[0]["token_ref"].removeprefix("sealed:")
    secrets = re.findall(r"whsec_[A-Za-z0-9+/=]{44}", said)
    assert len(secrets) == len(set(secrets)) == 2  # of the creation and of the rotation, each told once
    told = said + log.read_text()
    for secret in secrets:
        assert told.count(secret) == 1
    assert "in-the-address" not in log.read_text()
    assert "beach" in told
    for secret in (
        *(NEW_TOKEN, TOKEN, APP_SECRET, VERIFY_TOKEN, seal_key, sealed, key, door.key),
        *(RELAY_SECRET, RELAY_WORD),
    ):
        assert secret not in told
    assert f"env:{TOKEN_VARIABLE}" in told  # where it is may be known
    in_clear = re.findall(r"dk_[a-z0-9]{12}_[A-Za-z0-9_-]{43}", told)
    assert len(in_clear) <= 1  # the one that a call had made, told once


def _address(said: Path) -> str:
    ends = time.monotonic() + 30
    while not (said.exists() and said.read_text().endswith("\n")):
        assert time.monotonic() < ends
        time.sleep(0.02)
    return str(json.loads(said.read_text())["url"])


async def _a_campaign(door: FrontDoor) -> Campaign:
    """With somebody in it, and a sender whose token is known."""
    return await door.world.a_campaign(people=1, is_started=False)


@pytest.mark.settings(events_networks=["127.0.0.0/8"])
async def test_no_table_holds_a_token_or_a_key_in_clear(door: FrontDoor) -> None:
    number = {
        "name": "beach",
        "phone": "+12025550100",
        "phone_number_id": "200000000000777",
        "waba_id": "100000000000777",
        "token": NEW_TOKEN,
    }
    await door.post("/senders", number, 201)
    made = await door.post("/keys", {"name": "shop", "scopes": ["read"]}, 201)
    listener = {"url": "http://127.0.0.1:9/events", "kinds": ["*"]}
    listening = await door.post("/subscriptions", listener, 201)
    rotated = await door.post(f"/subscriptions/{listening['id']}/rotate-secret")
    await door.world.app.campaigns.start((await _a_campaign(door)).id)
    database = door.world.app.database
    tables = await database.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    for table in tables:
        rows = await database.fetch(f"SELECT row_to_json(t)::text AS row FROM {table['tablename']} t")  # noqa: S608
        text = "\n".join(row["row"] for row in rows)
        for secret in (
            NEW_TOKEN,
            made["key"],
            made["key"][-43:],
            door.key[-43:],
            listening["secret"][6:],
            rotated["secret"][6:],
        ):
            assert secret not in text
            assert secret.encode().hex() not in text
