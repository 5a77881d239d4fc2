"""Webhooks that cannot be read, or a piece of them: put aside with the reason, and never with their neighbours."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.webhooks import a_body, a_status, a_text, a_value, an_envelope

from dispatcher.channel.webhooks import read_webhook
from dispatcher.domain.webhook import Inbound, Report, Unreadable, UnreadableReason

LONG = "x" * 513


@pytest.mark.parametrize(
    ("body", "reason", "where"),
    [
        (b"", "not_json", ""),
        (b"hello", "not_json", ""),
        (b'{"object":', "not_json", ""),
        (b"\x00", "not_json", ""),
        (b"\xff\xfe{}", "not_json", ""),
        (b"[" * 100_000, "not_json", "nested too deeply"),
        (b"null", "not_a_webhook", "body: None"),
        (b"[]", "not_a_webhook", "body: []"),
        (b"{}", "not_a_webhook", "body: {}"),
        (b'{"object":"page","entry":[{}]}', "not_a_webhook", "body: {'entry': [{}], 'object': 'page'}"),
        (an_envelope(), "not_a_webhook", "body: "),
        (b'{"object":"whatsapp_business_account","entry":{}}', "not_a_webhook", "body: "),
        (an_envelope("x"), "not_an_object", "entry[0]: 'x'"),
        (an_envelope({"id": "1"}), "not_a_list", "entry[0].changes: None"),
        (an_envelope({"id": "1", "changes": {}}), "not_a_list", "entry[0].changes: {}"),
        (an_envelope({"id": "1", "changes": []}), "not_a_list", "entry[0].changes: []"),
        (an_envelope({"id": "1", "changes": [7]}), "not_an_object", "entry[0].changes[0]: 7"),
        (an_envelope({"id": "1", "changes": [{"value": {}}]}), "no_field", "entry[0].changes[0].field: None"),
        (a_body({}, field=["messages"]), "no_field", "entry[0].changes[0].field: ['messages']"),
        (a_body({}, field=LONG), "no_field", "entry[0].changes[0].value: 'xxx"),
        (a_body(None), "not_an_object", "entry[0].changes[0].value: None"),
        (a_body([a_value()], field="flows"), "not_an_object", "entry[0].changes[0].value: [{"),
        (a_body({"a": 1}, field="flows", id=None), "no_account", "entry[0].changes[0].value: None"),
        (a_body(a_value(statuses={"id": "x"})), "not_a_list", "entry[0].changes[0].value.statuses: {'id': 'x'}"),
        (a_body(a_value(messages="x")), "not_a_list", "entry[0].changes[0].value.messages: 'x'"),
        (a_body(a_value(statuses=["x"])), "not_an_object", "entry[0].changes[0].value.statuses[0]: 'x'"),
        (a_body(a_value(messages=[None])), "not_an_object", "entry[0].changes[0].value.messages[0]: None"),
        (a_body(a_value(statuses=[a_status(id=None)])), "no_wamid", "statuses[0].id: None"),
        (a_body(a_value(statuses=[a_status(id="")])), "no_wamid", "statuses[0].id: ''"),
        (a_body(a_value(statuses=[a_status(id=LONG)])), "no_wamid", "statuses[0].id: 'xxx"),
        (a_body(a_value(statuses=[a_status(status=None)])), "no_status", "statuses[0].status: None"),
        (a_body(a_value(statuses=[a_status(status=["sent"])])), "no_status", "statuses[0].status: ['sent']"),
        (a_body(a_value(statuses=[a_status(timestamp=None)])), "bad_time", "statuses[0].timestamp: None"),
        (a_body(a_value(statuses=[a_status(timestamp="soon")])), "bad_time", "timestamp: 'soon'"),
        (a_body(a_value(statuses=[a_status(timestamp=True)])), "bad_time", "timestamp: True"),
        (a_body(a_value(statuses=[a_status(timestamp=0)])), "bad_time", "timestamp: 0"),
        (a_body(a_value(statuses=[a_status(timestamp=-1)])), "bad_time", "timestamp: -1"),
        (a_body(a_value(statuses=[a_status(timestamp=1795000010000)])), "bad_time", "timestamp: 1795000010000"),
        (a_body(a_value(statuses=[a_status(timestamp="9" * 5000)])), "bad_time", "timestamp: '999"),
        (a_body(a_value(messages=[a_text(id=LONG)])), "no_wamid", "messages[0].id: 'xxx"),
        (a_body(a_value(messages=[a_text(timestamp="x")])), "bad_time", "messages[0].timestamp: 'x'"),
        (a_body(a_value(metadata={}, messages=[a_text()])), "no_sender", "messages[0]: {"),
        (a_body(a_value(metadata="x", messages=[a_text()])), "no_sender", "messages[0]: {"),
        (a_body(a_value(messages=[a_text(**{"from": None})])), "no_person", "messages[0]: {"),
        (a_body(a_value(messages=[a_text(**{"from": "Dana"})])), "no_person", "messages[0]: {"),
    ],
    ids=lambda value: "body" if isinstance(value, bytes) else None,
)  # fmt: skip
def test_what_cannot_be_read_is_kept_with_the_reason_and_the_place(
    body: bytes, reason: str, where: str
) -> None:
    (news,) = read_webhook(body)
    assert isinstance(news, Unreadable)
    assert news.reason == reason
    assert where in news.detail
    assert read_webhook(news.fragment) == [news]


def test_what_was_found_is_shown_shortly() -> None:
    (news,) = read_webhook(a_body(a_value(statuses=[a_status(status=[{"x": "y" * 10_000}] * 1000)])))
    assert isinstance(news, Unreadable)
    assert len(news.detail) < 250


@pytest.mark.parametrize("depth", [300, 900])
def test_what_is_nested_too_deeply_to_be_stored_is_put_aside_alone(depth: int) -> None:
    deep = '{"a":' * depth + "1" + "}" * depth
    body = a_body(a_value(messages=[a_text(1), a_text(2, text="DEEP"), a_text(3)]))
    body = body.replace(b'"DEEP"', deep.encode())
    first, second, third = read_webhook(body)
    assert isinstance(first, Inbound)
    assert isinstance(third, Inbound)
    assert isinstance(second, Unreadable)
    assert second.reason is UnreadableReason.TOO_DEEP
    assert second.fragment == body, "no piece can be cut out, so the whole is kept"


anything: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("\ud800\x00"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
"""Any JSON, also what only the standard library writes: NaN, infinity, half a pair, numbers beyond 64 bits."""


@settings(max_examples=25, deadline=None)
@given(anything, st.integers(0, 1000))
def test_one_bad_status_among_a_thousand_spoils_no_other(bad: Any, place: int) -> None:
    good = [a_status(n) for n in range(1000)]
    statuses = [orjson.dumps(status).decode() for status in good]
    statuses.insert(place, json.dumps(bad))
    body = a_body(a_value(statuses=["HERE"])).replace(b'"HERE"', ",".join(statuses).encode())
    news = read_webhook(body)
    assert len(news) == 1001
    assert not isinstance(news[place], Report)
    others = [*news[:place], *news[place + 1 :]]
    assert [each.wamid for each in others if isinstance(each, Report)] == [each["id"] for each in good]


@given(st.binary())
def test_any_bytes_are_told_as_something(body: bytes) -> None:
    assert read_webhook(body)


@given(anything)
def test_any_value_is_told_as_something(value: Any) -> None:
    for field in ("messages", "user_preferences", "constellation_update"):
        change = {"field": field, "value": value}
        entry = {"id": "1", "changes": [change]}
        assert read_webhook(json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode())
