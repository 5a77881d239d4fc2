"""The webhook endpoint over real HTTP: what is taken, what is refused, and that nothing is half done."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime

import pytest
from api_builders import APP_SECRET, PATH, VERIFY_TOKEN, Street, head, signed
from support.people import said
from support.waiting import wait_until

from dispatcher.api import webhooks
from dispatcher.ledger.group_commit import InboxWriter

BODY = b'{"object":"whatsapp_business_account","entry":[]}'
MB = 2**20


RAW = {
    "compact": BODY,
    "spaces and escapes": b'{ "text" :\t"Gr\\u00fc\\u00dfe \\ud83d\\ude00" }\r\n',
    "UTF-8": "Grüße 😀".encode(),
    "no UTF-8": b"\xff\xfe\x00",
    "empty": b"",
}
FORGERIES = {
    "of another app": signed(BODY, "somebody else's secret"),
    "of the same JSON in other bytes": signed(json.dumps(json.loads(BODY)).encode()),
    "not ASCII": {"x-hub-signature-256": "sha256=äöü"},
    "of the older kind": {"x-hub-signature": signed(BODY)["x-hub-signature-256"]},
    "empty": {"x-hub-signature-256": ""},
    "none": {},
}


async def test_signed_bodies_are_stored_byte_for_byte(street: Street) -> None:
    for body in RAW.values():
        answer = await street.post(body)
        assert (answer.status_code, answer.content) == (200, b"")
    assert await street.stored() == list(RAW.values())


async def test_any_of_our_secrets_will_do(street: Street) -> None:
    for secret in APP_SECRET:
        assert (await street.post(BODY, signed(BODY, secret))).status_code == 200
    assert await street.stored() == [BODY, BODY]


async def test_a_body_that_our_apps_have_not_signed_is_refused(street: Street) -> None:
    for kind, headers in FORGERIES.items():
        raw = {name.encode(): value.encode() for name, value in headers.items()}
        answer = await street.client.post(PATH, content=BODY, headers=raw)
        assert answer.status_code == 401, kind
        assert "X-Hub-Signature-256" in answer.text
        assert not any(secret in answer.text for secret in APP_SECRET)
    assert await street.stored() == []


async def test_a_body_that_is_announced_too_large_is_refused_before_it_is_sent(street: Street) -> None:
    answer = await street.say(head(content_length=4 * MB + 1, x_hub_signature_256="sha256=0"))
    assert answer.startswith(b"HTTP/1.1 413 ")


async def test_a_body_of_unknown_length_is_refused_once_it_is_too_large(street: Street) -> None:
    chunk = b"%x\r\n%b\r\n" % (MB, bytes(MB))
    request = head(transfer_encoding="chunked", x_hub_signature_256="sha256=0")
    answer = await street.say(request + 4 * chunk + b"1\r\n!\r\n")
    assert answer.startswith(b"HTTP/1.1 413 ")


async def test_the_largest_body_that_meta_sends_is_taken(street: Street) -> None:
    body = bytes(4 * MB)
    assert (await street.post(body)).status_code == 200
    assert await street.stored() == [body]


async def test_a_body_in_pieces_is_put_together(street: Street) -> None:
    async def pieces() -> object:
        for byte in BODY:
            yield bytes([byte])

    answer = await street.client.post(PATH, content=pieces(), headers=signed(BODY))  # type: ignore[arg-type]
    assert answer.status_code == 200
    assert await street.stored() == [BODY]


async def test_a_body_that_stops_half_way_is_not_waited_for(
    street: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "READ_WITHIN_S", 0.05)
    answer = await street.say(head(content_length=100, x_hub_signature_256="sha256=0") + b"half a")
    assert answer.startswith(b"HTTP/1.1 408 ")


async def test_what_waits_together_is_written_together(
    street: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    bodies = [b"%d" % n for n in range(60)]
    handed_in, write = 0, InboxWriter.write

    async def counted(writer: InboxWriter, body: bytes, *, is_urgent: bool = False) -> None:
        nonlocal handed_in
        handed_in += 1
        await write(writer, body, is_urgent=is_urgent)

    monkeypatch.setattr(InboxWriter, "write", counted)
    async with street.ledger_hangs():
        answers = [asyncio.create_task(street.post(body)) for body in bodies]
        await wait_until(lambda: handed_in == len(bodies), description="all bodies handed in")
    assert {(await answer).status_code for answer in answers} == {200}
    assert sorted(await street.stored()) == sorted(bodies)
    # Two loads had begun when the ledger hung; everything else waited for them, and went as one.
    assert await street.app.database.fetchval("SELECT count(DISTINCT xmin::text) FROM inbox") <= 3


@pytest.mark.settings(webhook_wait_s=0.3)
async def test_a_ledger_that_is_too_slow_leaves_nothing_behind(street: Street) -> None:
    async with street.ledger_hangs():
        refused = await asyncio.gather(*(street.post(BODY) for _ in range(10)))
    assert {answer.status_code for answer in refused} == {503}
    assert all(int(answer.headers["retry-after"]) > 0 for answer in refused)
    assert (await street.post(b"the next")).status_code == 200
    assert await street.stored() == [b"the next"]


@pytest.mark.settings(webhook_memory_mb=8)
async def test_more_than_may_wait_in_memory_is_refused_and_the_rest_is_kept(street: Street) -> None:
    big = bytes(3 * MB)
    async with street.ledger_hangs():
        answers = [asyncio.create_task(street.post(big)) for _ in range(3)]
        [first], waiting = await asyncio.wait(answers, return_when=asyncio.FIRST_COMPLETED)
        assert first.result().status_code == 503
        assert "retry-after" in first.result().headers
    assert [(await task).status_code for task in waiting] == [200, 200]
    assert (await street.post(big)).status_code == 200
    assert await street.stored() == [big] * 3


@pytest.mark.settings(webhook_secrets=[])
async def test_without_a_secret_nothing_is_believed(street: Street) -> None:
    answer = await street.post(BODY)
    assert answer.status_code == 503
    assert "webhook_secrets" in answer.text
    assert await street.stored() == []


async def test_other_methods_are_not_for_this_address(street: Street) -> None:
    answer = await street.client.put(PATH, content=BODY, headers=signed(BODY))
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")


# the handshake


def a_verification(**changes: str) -> dict[str, str]:
    asked = {"mode": "subscribe", "challenge": "1158201444", "verify_token": VERIFY_TOKEN} | changes
    return {f"hub.{name}": value for name, value in asked.items()}


async def test_the_handshake_repeats_the_challenge(street: Street) -> None:
    answer = await street.client.get(PATH, params=a_verification())
    assert (answer.status_code, answer.text) == (200, "1158201444")
    assert answer.headers["content-type"].startswith("text/plain")


async def test_a_handshake_that_is_not_ours_is_refused(street: Street) -> None:
    for params in (
        {},
        a_verification(verify_token="wrong"),
        a_verification(verify_token=VERIFY_TOKEN.upper()),
        a_verification(verify_token="äöü"),
        a_verification(mode="unsubscribe"),
        a_verification(challenge="1" * 2_000),
    ):
        answer = await street.client.get(PATH, params=params)
        assert answer.status_code == 403
        assert VERIFY_TOKEN not in answer.text


@pytest.mark.settings(webhook_verify_token=None)
async def test_without_a_verify_token_no_handshake_succeeds(street: Street) -> None:
    answer = await street.client.get(PATH, params=a_verification())
    assert answer.status_code == 503
    assert "webhook_verify_token" in answer.text


async def test_what_people_say_is_answered_when_it_is_applied(street: Street) -> None:
    """The answer waits for intake; reports, of which there are many more, wait for nothing."""
    body = said("Hello", at=datetime.now(UTC))
    answer = asyncio.create_task(street.post(body))
    while not answer.done():
        await street.app.intake.drain()
    assert (await answer).status_code == 200
    assert await street.stored() == []


async def test_without_intake_it_is_answered_all_the_same(street: Street) -> None:
    body = said("Hello", at=datetime.now(UTC))
    assert (await street.post(body)).status_code == 200
    assert await street.stored() == [body]
