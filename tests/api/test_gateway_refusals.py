"""What the gateway refuses, it refuses at once, in Meta's form, with Meta's code, and leaves nothing behind."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from front_door import FrontDoor
from gateway_builders import ANN, BOB, EVE, Client, a_template, a_text
from support.conversations import a_conversation, has_written

from dispatcher.api.gateway.errors import ERRORS
from dispatcher.domain.access import Denial
from dispatcher.domain.gateway import Objection
from dispatcher.domain.verdict import VERDICTS
from dispatcher.ledger import answers

HIDDEN = "US.7000000000000000001"


@pytest.fixture
async def client(door: FrontDoor) -> Client:
    """Ann has written to harbour; Bob has, too, but his window has closed."""
    harbour = await door.world.app.senders.named("harbour")
    await has_written(door.world, harbour, ANN)
    await a_conversation(door.world.app.database, harbour, BOB, open_for=timedelta(hours=-1))
    return Client(door, harbour.phone_number_id)


async def leaves_nothing(client: Client) -> bool:
    database = client.door.world.app.database
    sql = """SELECT (SELECT count(*) FROM messages) + (SELECT count(*) FROM campaigns) + (SELECT count(*) FROM replies)
        + (SELECT count(*) FROM callback_data) + (SELECT count(*) FROM answered_calls)"""
    return await database.fetchval(sql) == 0


def test_every_reason_has_an_error_of_metas_that_is_known() -> None:
    assert ERRORS.keys() == {*Denial, *Objection}
    assert {error.code for error in ERRORS.values()} <= VERDICTS.keys()


CANNOT_BE: Sequence[tuple[dict[str, Any], int, str]] = [
    (a_text(BOB), 131047, "closed at"),
    (a_text(EVE), 131047, "has never written"),
    (a_text(body="x" * 4097), 131009, "body"),
    (a_template(EVE, name="winter"), 132001, "winter"),
    (a_template(EVE, language="de"), 132001, "'de'"),
    (a_template(EVE, "Eve"), 132000, "(1) does not match the expected number of params (2)"),
    (a_template(EVE, "Eve", "a\nb"), 132018, "line break"),
    (a_template(EVE, "x" * 600, "y" * 600), 132005, "too many"),
    (a_template("", recipient=HIDDEN), 131062, HIDDEN),
    ({"to": ANN, "type": "poll", "poll": {}}, 131051, "poll"),
    ({"to": ANN, "type": "image", "image": {"link": "ftp://x/a.png"}}, 131009, "source"),
    ({"to": "12", "type": "text", "text": {"body": "x"}}, 131009, "to is no number"),
    ({"type": "text", "text": {"body": "x"}}, 131008, "to is required"),
    (a_text(recipient_identity_key_hash="x"), 100, "recipient_identity_key_hash"),
    (a_text(context={"message_id": "wamid.NTM3M2U1YmMuMC40"}), 131009, "context.message_id"),
]


async def test_a_message_that_cannot_be_is_refused_by_the_field_at_fault(client: Client) -> None:
    found = []
    for said, _, details in CANNOT_BE:
        code, told = await client.refused(said, headers={"Idempotency-Key": "x"})
        found.append((said, code, details if details in told else told))
    assert found == CANNOT_BE
    assert await leaves_nothing(client)


async def test_a_sender_that_may_not_send_says_why(client: Client) -> None:
    codes = {
        "BANNED": 131031,
        "RESTRICTED": 131048,
        "PENDING": 133010,
        "DISCONNECTED": 133010,
        "UNKNOWN": 131045,
        "DELETED": 33,
    }
    for status, code in codes.items():
        await client.door.world.app.database.execute("UPDATE senders SET status = $1", status)
        assert [(await client.refused(said))[0] for said in (a_template(), a_text())] == [code, code]
    await client.door.world.app.database.execute("UPDATE senders SET status = 'CONNECTED', enabled = false")
    assert (await client.refused(a_text()))[0] == 368
    assert await leaves_nothing(client)


async def test_what_holds_until_somebody_mends_it(client: Client) -> None:
    database = client.door.world.app.database
    await database.execute(
        "INSERT INTO holds (scope, key, reason, detail) SELECT 'account', waba_id, 'account_fault', 'no payment' FROM senders"
    )
    assert await client.refused(a_template()) == (131042, "no payment")
    # What time ends is waited for.
    await database.execute("UPDATE holds SET until = ledger_now() + interval '1 hour'")
    await client.sends(a_template())


async def test_a_template_that_meta_has_stopped(client: Client) -> None:
    world = client.door.world
    for status, code in (("PAUSED", 132015), ("DISABLED", 132016), ("PENDING", 132001)):
        await world.meta.template_is(status)
        await world.app.senders.sync_templates("harbour")
        assert (await client.refused(a_template()))[0] == code


async def test_whoever_is_suppressed_gets_no_template_and_may_be_answered(client: Client) -> None:
    await client.door.post("/suppressions", {"people": [ANN], "reason": "asked us to"})
    code, details = await client.refused(a_template())
    assert (code, "asked us to" in details) == (131050, True)
    await client.sends(a_text())


async def test_a_person_without_a_number_is_found_by_their_user_id(client: Client) -> None:
    await client.door.world.app.database.execute(
        "INSERT INTO identities (id, person_key, person, linked_at) VALUES ($1, $2, $2, ledger_now())",
        HIDDEN,
        EVE,
    )
    await client.sends(a_template("", recipient=HIDDEN))
    person = await client.door.world.app.database.fetchval("SELECT person FROM messages")
    assert person == EVE


async def test_a_number_that_is_not_ours(client: Client) -> None:
    stranger = Client(client.door, "999999999999999")
    code, details = await stranger.refused(a_text())
    assert (code, "999999999999999" in details) == (100, True)


async def test_a_body_that_is_none(client: Client) -> None:
    path = f"{client.number_id}/messages"
    for content in (
        b"",
        b"{",
        b"[]",
        b'{"text": "\xff"}',
        b"{" * 100_000,
        b'{"a": "' + b"x" * 300_000 + b'"}',
    ):
        answer = await client.call("POST", path, content=content)
        assert (answer.status_code, answer.json()["error"]["code"] in {100, 131009}) == (400, True)
    nul = {
        "messaging_product": "whatsapp",
        "to": ANN,
        "text": {"body": "x"},
        "biz_opaque_callback_data": "a\0b",
    }
    answer = await client.call("POST", path, json=nul)
    assert "U+0000" in answer.json()["error"]["error_data"]["details"]
    assert await leaves_nothing(client)


async def test_while_the_ledger_is_busy_the_client_is_asked_to_come_again(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "PATIENCE", timedelta(seconds=0.3))
    async with client.door.world.app.database.transaction() as connection:
        await connection.execute("LOCK TABLE reply_positions IN ACCESS EXCLUSIVE MODE")
        answer = await client.post(a_text(), headers={"Idempotency-Key": "busy"})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["is_transient"]) == (503, 131016, True)
    assert answer.headers["retry-after"]
    await client.sends(a_text(), headers={"Idempotency-Key": "busy"})
