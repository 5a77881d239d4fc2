"""What comes in is bounded: bodies, streams, rows, and how long one may take."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import httpx
import pytest
from front_door import FrontDoor, csv, ndjson, people


async def test_a_json_body_that_is_too_large_is_refused_before_it_is_read(door: FrontDoor) -> None:
    campaign = await door.a_draft()
    padding = "x" * (9 * 2**20)
    refused = await door.call("POST", f"/campaigns/{campaign}/people", json={"people": [padding]})
    assert (refused.status_code, refused.json()["type"]) == (413, "urn:dispatcher:too_large")


async def test_one_that_does_not_say_how_large_it_is_neither(door: FrontDoor) -> None:
    campaign = await door.a_draft()

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(10):
            yield b" " * 2**20

    headers = {"Content-Type": "application/json"}
    try:
        refused = await door.call("POST", f"/campaigns/{campaign}/people", content=endless(), headers=headers)
        assert refused.status_code == 413
    except httpx.WriteError:
        pass  # the connection was closed while we still wrote
    assert await door.rows(campaign) == []


@pytest.mark.settings(upload_most_mb=1)
async def test_a_stream_that_is_too_large_leaves_nothing(door: FrontDoor) -> None:
    campaign = await door.a_draft()
    large = ndjson({"phone": "+4915110000000", "first_name": "x" * 1000} for _ in range(1_100))
    refused = await door.stream(campaign, large)
    assert refused.status_code == 413
    assert await door.rows(campaign) == []


@pytest.mark.settings(upload_rows_most=1_000)
async def test_a_small_stream_that_unfolds_to_more_rows_than_are_taken_leaves_nothing(
    door: FrontDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dispatcher.engine.audience.CHUNK_ROWS", 300)
    campaign = await door.a_draft()
    refused = await door.stream(campaign, gzip.compress(csv(people(1_001))), "text/csv")
    assert refused.status_code == 422
    assert "more than 1,000 rows" in refused.json()["detail"]
    assert await door.rows(campaign) == []
    assert (await door.stream(campaign, csv(people(1_000)), "text/csv")).status_code == 201


async def test_what_is_no_stream_of_people_is_said(door: FrontDoor) -> None:
    campaign = await door.a_draft()
    for content, media_type, status in (
        (b"hello", "text/plain", 415),
        (b"", "text/csv", 422),
        (b"name\nAnn\n", "text/csv", 422),
        (b'phone,first_name\n"+49', "text/csv", 422),
        (b"\xff\xfe\xfa", "application/x-ndjson", 422),
        (b"PK\x03\x04and so on", "text/csv", 422),
    ):
        refused = await door.stream(campaign, content, media_type)
        assert refused.status_code == status, refused.text
        assert refused.headers["content-type"] == "application/problem+json"
    assert await door.rows(campaign) == []


async def test_what_is_no_json_or_not_what_was_asked_for_is_400(door: FrontDoor) -> None:
    campaign = await door.a_draft()
    headers = {"Content-Type": "application/json"}
    for body in (
        b"{",
        b"[" * 100_000,
        b'{"people": [NaN]}' + b"\xff",
        json.dumps({"people": ["\ud800"], "more": "\x00"}).encode(),
        b"null",
    ):
        refused = await door.call("POST", f"/campaigns/{campaign}/people", content=body, headers=headers)
        assert refused.status_code == 400, refused.text


async def test_texts_that_no_database_holds_become_rejected_rows(door: FrontDoor) -> None:
    campaign = await door.a_draft()
    body = b'{"people": [{"phone": "+4915110000001", "first_name": "a\\u0000b"}, {"phone": "+4915110000002", "first_name": "\\ud800"}]}'
    headers = {"Content-Type": "application/json"}
    answer = await door.call("POST", f"/campaigns/{campaign}/people", content=body, headers=headers)
    assert answer.status_code == 201, answer.text
    assert answer.json()["rejected"] == {"bad_value": 2}


@pytest.mark.settings(upload_dir="/nowhere/at/all")
async def test_where_streams_cannot_wait_is_said_and_no_place_is_lost(door: FrontDoor) -> None:
    campaign = await door.a_draft()
    for _ in range(6):  # more than there are places
        refused = await door.stream(campaign, ndjson(people(3)))
        assert (refused.status_code, refused.json()["type"]) == (503, "urn:dispatcher:no_room")


async def test_a_stream_that_falls_silent_is_given_up_and_leaves_nothing(
    door: FrontDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dispatcher.api.uploads.SILENT_AT_MOST_S", 0.2)
    campaign = await door.a_draft()
    at = urlsplit(door.url)
    head = (
        f"POST /v1/campaigns/{campaign}/people/stream HTTP/1.1\r\nhost: {at.netloc}\r\ncontent-length: 1000\r\n"
        f"authorization: Bearer {door.key}\r\nidempotency-key: silent\r\ncontent-type: application/x-ndjson\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection(at.hostname, at.port)
    writer.write(head.encode() + ndjson(people(3)))
    answer = await asyncio.wait_for(reader.read(), 30)
    writer.close()
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"urn:dispatcher:too_slow" in answer
    assert await door.rows(campaign) == []
