"""What Meta answers to a post, read: an answer that cannot be understood is neither a yes nor a no."""

from __future__ import annotations

import orjson
import pytest

from dispatcher.channel.answers import read_answer
from dispatcher.channel.transport import HttpAnswer
from dispatcher.domain.posted import Posted, PostedKind


def read(status: int, body: object) -> Posted:
    return read_answer(HttpAnswer(status, orjson.dumps(body)))


@pytest.mark.parametrize(
    ("message", "status"),
    [
        ({"id": "wamid.A"}, None),
        ({"id": "wamid.A", "message_status": "accepted"}, None),
        ({"id": "wamid.A", "message_status": "held_for_quality_assessment"}, "held_for_quality_assessment"),
    ],
)
def test_an_id_means_that_meta_took_it(message: object, status: str | None) -> None:
    taken = read(200, {"messaging_product": "whatsapp", "contacts": [], "messages": [message]})
    assert taken == Posted(PostedKind.ACCEPTED, "wamid.A", status)


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        "wamid.A",
        {},
        {"messages": None},
        {"messages": []},
        {"messages": ["wamid.A"]},
        {"messages": [{}]},
        {"messages": [{"id": ""}]},
        {"messages": [{"id": 7}]},
        {"messages": [{"id": "wamid.A\nwamid.B"}]},
        {"success": True},
        {"error": {"code": 100}},
    ],
)
def test_a_yes_without_a_usable_id_leaves_the_message_in_doubt(body: object) -> None:
    unclear = read(200, body)
    assert unclear.kind is PostedKind.UNSURE
    assert unclear.detail.startswith("HTTP 200 without a readable answer")


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"messages":[{"id":"wamid.', b'{"error":{"code":"x"}}'])
@pytest.mark.parametrize("status", [200, 400, 502])
def test_an_answer_that_is_cut_off_or_another_servers_leaves_it_in_doubt(status: int, body: bytes) -> None:
    assert read_answer(HttpAnswer(status, body)).kind is PostedKind.UNSURE


def test_a_code_is_a_no_with_metas_words() -> None:
    error = {
        "code": 131026,
        "message": "(#131026) Message undeliverable",
        "error_data": {"details": "no app"},
    }
    refused = read(400, {"error": error})
    assert refused.kind is PostedKind.REFUSED
    assert refused.verdict is not None
    assert refused.detail == "no app; (#131026) Message undeliverable"
