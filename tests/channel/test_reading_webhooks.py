"""Webhooks: what each shape says, and that nothing of it is lost."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import orjson
import pytest
from support.webhooks import SAMPLES, START, a_body, a_status, a_text, a_value, told

from dispatcher.channel.webhooks import read_webhook
from dispatcher.domain.ids import CampaignId, MessageId, Token
from dispatcher.domain.receipt import Receipt
from dispatcher.domain.webhook import AccountNews, Inbound, News, Report

DANA, DANAS_ID = "12025550143", "US.7000000000000000001"

STATUSES = {
    "status_delivered": f"delivered +12s, wamid.OUT0001==, {DANA}, {DANAS_ID}, 7f3a.42.977.1, marketing, billed",
    "status_delivered_free": f"delivered +12s, wamid.OUT0003==, {DANA}, 7f3a.42.977.1, service, free",
    "status_failed": "failed +31s, wamid.OUT0002==, 12025550144, 7f3a.42.978.2, code 131049, In order to maintain a "
    "healthy ecosystem engagement, the message failed to be delivered.; This message was not delivered to maintain "
    "healthy ecosystem engagement.",
    "status_failed_held_message": f"failed +40s, wamid.OUT0006==, {DANA}, 7f3a.42.977.1, code 132015, Template paused "
    "while the message was held for quality assessment.; Template is paused",
    "status_failed_with_several_errors": f"failed +32s, wamid.OUT0005==, {DANA}, code 131026, Not on WhatsApp",
    "status_failed_without_errors": f"failed +32s, wamid.OUT0005==, {DANA}",
    "status_of_a_group": "delivered +33s, wamid.OUT0007==",
    "status_played": f"played +25s, wamid.OUT0004==, {DANA}",
    "status_read_of_hidden_number": f"read +20s, wamid.OUT0001==, {DANAS_ID}, 7f3a.42.977.1",
    "status_sent": f"sent +10s, wamid.OUT0001==, {DANA}, {DANAS_ID}, 7f3a.42.977.1, marketing, billed",
    "status_sent_as_before_v24": f"sent +10s, wamid.OUT0001==, {DANA}, utility, billed",
    "status_sent_with_origin_alone": f"sent +10s, wamid.OUT0001==, {DANA}, referral_conversion",
    "status_with_a_foreign_token": f"sent +10s, wamid.OUT0008==, {DANA}",
}
"""Sample → moment, wamid, person, user id, token, price, failure; whatever is known of it."""

MESSAGES = {
    "audio": f"audio +100s, wamid.IN.audio, {DANA}, Dana",
    "button": f"button +100s, wamid.IN.button, {DANA}, Dana, to wamid.OUT0001==",
    "contacts": f"contacts +100s, wamid.IN.contacts, {DANA}, Dana",
    "contacts_on_request": f"contacts +100s, wamid.IN.contacts_on_request, {DANAS_ID}, Dana, to wamid.OUT0001==",
    "document": f"document +100s, wamid.IN.document, {DANA}, Dana",
    "edit": f"edit +100s, wamid.IN.edit, {DANA}, Dana",
    "image": f"image +100s, wamid.IN.image, {DANA}, Dana",
    "interactive_button": f"interactive +100s, wamid.IN.interactive_button, {DANA}, Dana, to wamid.OUT0001==",
    "interactive_flow": f"interactive +100s, wamid.IN.interactive_flow, {DANA}, Dana, to wamid.OUT0001==",
    "interactive_list": f"interactive +100s, wamid.IN.interactive_list, {DANA}, Dana, to wamid.OUT0001==",
    "location": f"location +100s, wamid.IN.location, {DANA}, Dana",
    "of_tomorrow": f"hologram +100s, wamid.IN.of_tomorrow, {DANA}, Dana",
    "order": f"order +100s, wamid.IN.order, {DANA}, Dana",
    "reaction": f"reaction +100s, wamid.IN.reaction, {DANA}, Dana, to wamid.OUT0001==",
    "reaction_removed": f"reaction +100s, wamid.IN.reaction_removed, {DANA}, Dana, to wamid.OUT0001==",
    "revoke": f"revoke +100s, wamid.IN.revoke, {DANA}, Dana",
    "sticker": f"sticker +100s, wamid.IN.sticker, {DANA}, Dana",
    "system_identity_changed": f"system +100s, wamid.IN.system_identity_changed, {DANA}",
    "system_number_changed": f"system +100s, wamid.IN.system_number_changed, {DANA}",
    "system_user_id_changed": "system +100s, wamid.IN.system_user_id_changed, US.7000000000000000002",
    "text": f"text +100s, wamid.IN.text, {DANA}, Dana",
    "text_forwarded": f"text +100s, wamid.IN.text_forwarded, {DANA}, Dana",
    "text_from_ad": f"text +100s, wamid.IN.text_from_ad, {DANA}, Dana",
    "text_in_a_group": f"text +100s, wamid.IN.text_in_a_group, {DANA}, Dana",
    "text_named_by_its_contact": f"text +100s, wamid.IN.text_named_by_its_contact, {DANA}, {DANAS_ID}, Dana",
    "text_of_hidden_number": f"text +100s, wamid.IN.text_of_hidden_number, {DANAS_ID}, Dana",
    "text_of_hidden_number_without_contacts": "text +100s, wamid.IN.text_of_hidden_number_without_contacts, "
    f"{DANAS_ID}",
    "text_that_databases_refuse": f"text +100s, wamid.IN.text_that_databases_refuse, {DANA}, Dana",
    "text_with_both_ids": f"text +100s, wamid.IN.text_with_both_ids, {DANA}, {DANAS_ID}, Dana",
    "text_with_integer_timestamp": f"text +100s, wamid.IN.text_with_integer_timestamp, {DANA}, Dana",
    "unknown": f"unknown +100s, wamid.IN.unknown, {DANA}, Dana",
    "unsupported": f"unsupported +100s, wamid.IN.unsupported, {DANA}, Dana",
    "video": f"video +100s, wamid.IN.video, {DANA}, Dana",
    "without_type": f"unknown +100s, wamid.IN.without_type, {DANA}, Dana",
}
"""Sample, without its "message_" → kind, moment, wamid, number, user id, name, what it answers."""

WHOLE_CHANGES = {
    "account_alert": "account_alerts +0s",
    "account_country": "account_update +0s",
    "account_deleted": "account_update +0s",
    "account_disabled": "account_update +0s",
    "account_partner_added": "account_update +0s",
    "account_partner_removed": "account_update +0s",
    "account_restriction": "account_update +0s",
    "account_restriction_ended": "account_update +0s",
    "account_restriction_with_texts_for_times": "account_update +0s",
    "account_review": "account_review_update +0s",
    "account_settings": "account_settings_update +0s",
    "account_violation": "account_update +0s",
    "account_volume_tier": "account_update +0s",
    "business_capability": "business_capability_update +0s",
    "business_capability_as_tier": "business_capability_update +0s",
    "business_username": "business_username_update +0s",
    "field_of_tomorrow": "constellation_update at no time",
    "flows": "flows +0s",
    "history": "history +0s",
    "messages_without_updates": "messages at no time",
    "number_flagged": "phone_number_quality_update +0s",
    "number_name": "phone_number_name_update +0s",
    "number_throughput": "phone_number_quality_update +0s",
    "security": "security +0s",
    "template_category_announced": "template_category_update +0s",
    "template_category_changed": "template_category_update +0s",
    "template_components": "message_template_components_update +0s",
    "template_disabled": "message_template_status_update +0s",
    "template_paused": "message_template_status_update +0s",
    "template_quality": "message_template_quality_update +0s",
    "template_rejected": "message_template_status_update +0s",
}
"""Sample of one piece of news, its value kept as a whole → field and moment."""

LISTS = {
    "calls": ["calls +150s"],
    "errors_out_of_band": ["messages.errors at no time", "messages.errors at no time"],
    "message_echoes": ["smb_message_echoes +140s", "smb_message_echoes +141s"],
    "messages_with_a_list_of_tomorrow": ["messages.summaries at no time"],
    "status_deleted": ["messages.statuses +50s"],
    "status_of_tomorrow": ["messages.statuses +51s"],
    "user_id_update": ["user_id_update +130s"],
    "user_preferences": ["user_preferences +123s", "user_preferences +124s", "user_preferences +125s"],
}
"""Sample of updates in a list, each told alone → field and moment of each."""


def told_in(body: bytes) -> list[str]:
    return [told(news) for news in read_webhook(body)]


def one(body: bytes) -> News:
    (news,) = read_webhook(body)
    return news


def report_of(**members: Any) -> Report:
    news = one(a_body(a_value(statuses=[a_status(**members)])))
    assert isinstance(news, Report), news
    return news


def inbound_of(*contacts: object, **members: Any) -> Inbound:
    news = one(a_body(a_value(contacts=contacts, messages=[a_text(**members)])))
    assert isinstance(news, Inbound), news
    return news


def preferences_in(body: bytes) -> list[AccountNews]:
    return [news for news in read_webhook(body) if isinstance(news, AccountNews)]


def test_every_sample_is_in_a_table() -> None:
    tables = {*STATUSES, *(f"message_{name}" for name in MESSAGES), *WHOLE_CHANGES, *LISTS, "batch"}
    assert tables == set(SAMPLES)


@pytest.mark.parametrize("sample", STATUSES)
def test_a_status_is_a_report(sample: str) -> None:
    assert told_in(SAMPLES[sample]) == [STATUSES[sample]]


@pytest.mark.parametrize("sample", MESSAGES)
def test_a_message_is_kept_as_meta_wrote_it(sample: str) -> None:
    body = SAMPLES[f"message_{sample}"]
    assert told_in(body) == [MESSAGES[sample]]
    news = one(body)
    assert isinstance(news, Inbound)
    if sample != "text_that_databases_refuse":
        assert news.content == orjson.loads(body)["entry"][0]["changes"][0]["value"]["messages"][0]


@pytest.mark.parametrize("sample", WHOLE_CHANGES)
def test_other_fields_are_news_of_the_account(sample: str) -> None:
    news, entry = one(SAMPLES[sample]), orjson.loads(SAMPLES[sample])["entry"][0]
    assert told(news) == f"{WHOLE_CHANGES[sample]}, of {entry['id']}"
    assert isinstance(news, AccountNews)
    assert news.value == entry["changes"][0]["value"]


@pytest.mark.parametrize("sample", LISTS)
def test_each_update_in_a_list_is_news_of_its_own(sample: str) -> None:
    assert told_in(SAMPLES[sample]) == [f"{news}, of 100000000000001" for news in LISTS[sample]]


def test_a_batch_is_told_in_the_order_of_the_body() -> None:
    assert told_in(SAMPLES["batch"]) == [
        "text +190s, wamid.IN.batch1, 12025550150, Eli",
        f"text +191s, wamid.IN.batch2, {DANA}, {DANAS_ID}, Dana",
        f"sent +195s, wamid.OUT0011==, {DANA}, 7f3a.42.977.1",
        "delivered +196s, wamid.OUT0012==, 12025550150",
        "messages.errors +200s, of 100000000000001",
        "account_review_update +200s, of 100000000000001",
        f"read +199s, wamid.OUT0013==, {DANA}",
    ]


@pytest.mark.parametrize("sample", SAMPLES)
def test_a_fragment_says_the_same_alone(sample: str) -> None:
    for news in read_webhook(SAMPLES[sample]):
        assert read_webhook(news.fragment) == [news]


def test_a_fragment_holds_one_update_and_the_contact_of_its_person() -> None:
    first, second, *_ = read_webhook(SAMPLES["batch"])
    value = orjson.loads(first.fragment)["entry"][0]["changes"][0]["value"]
    assert [message["id"] for message in value["messages"]] == ["wamid.IN.batch1"]
    assert [contact["wa_id"] for contact in value["contacts"]] == ["12025550150"]
    assert "statuses" not in value
    assert b"Eli" not in second.fragment


def test_a_preference_is_told_with_what_stands_around_it_and_without_its_neighbours() -> None:
    stop, resume, _ = preferences_in(SAMPLES["user_preferences"])
    assert [each["value"] for each in stop.value["user_preferences"]] == ["stop"]
    assert [each["profile"]["name"] for each in stop.value["contacts"]] == ["Dana"]
    assert [each["profile"]["name"] for each in resume.value["contacts"]] == ["Eli"]
    assert resume.value["metadata"]["phone_number_id"] == "200000000000001"


def test_what_databases_refuse_becomes_a_replacement_character() -> None:
    news = one(SAMPLES["message_text_that_databases_refuse"])
    assert isinstance(news, Inbound)
    assert news.content["text"]["body"] == "nul �, half a pair �, a pair 👍, a path C:\\u0000"


@pytest.mark.parametrize(
    ("bad", "good"),
    [
        (rb"\u0000", "�"),
        (rb"\ud83d", "�"),
        (rb"\udc4d\ud83d", "��"),
        (rb"\uD83D\uDC4D", "👍"),
        (rb"\\ud83d", r"\ud83d"),
        (rb"\\\ud83d", "\\�"),
        (rb"\ud83d\u0000", "��"),
        (b"\xed\xa0\xbd", "���"),
        (b"\xff", "�"),
    ],
)
def test_texts_are_mended_character_by_character(bad: bytes, good: str) -> None:
    body = a_body(a_value(messages=[a_text(text={"body": "HERE"})])).replace(b"HERE", bad)
    news = one(body)
    assert isinstance(news, Inbound)
    assert news.content["text"]["body"] == good


def test_names_of_members_are_mended_too() -> None:
    news = one(a_body({"HERE": 1}, field="flows").replace(b"HERE", rb"\u0000"))
    assert isinstance(news, AccountNews)
    assert news.value == {"�": 1}


def test_a_byte_order_mark_is_no_reason_to_refuse() -> None:
    assert told_in(b"\xef\xbb\xbf" + SAMPLES["status_sent"]) == [STATUSES["status_sent"]]


def test_numbers_that_no_database_holds_are_floats_or_texts() -> None:
    body = a_body({"small": 1, "large": "L", "huge": "H", "none": "N"}, field="flows")
    for text, number in ((b'"L"', b"123456789012345678901"), (b'"H"', b"1e400"), (b'"N"', b"NaN")):
        body = body.replace(text, number)
    news = one(body)
    assert isinstance(news, AccountNews)
    assert news.value == {"small": 1, "large": 123456789012345678901.0, "huge": "1e400", "none": "NaN"}


@pytest.mark.parametrize("largest", [2**63, 2**64 - 1, -(2**63)])
def test_64_bits_stay_exact_also_beside_a_text_that_had_to_be_mended(largest: int) -> None:
    body = json.dumps({"n": largest, "text": "\x00"})
    news = one(a_body({"VALUE": 1}, field="flows").replace(b'{"VALUE":1}', body.encode()))
    assert isinstance(news, AccountNews)
    assert news.value == {"n": largest, "text": "�"}


def test_the_last_of_two_members_of_one_name_counts() -> None:
    body = a_body(a_value(statuses=[a_status(status="S")])).replace(b'"S"', b'"sent","status":"read"')
    assert told_in(body) == [f"read +10s, wamid.OUT0001==, {DANA}, 7f3a.42.1.1"]


def test_a_token_comes_back_whole() -> None:
    assert report_of().token == Token("7f3a", CampaignId(42), MessageId(1), 1)


@pytest.mark.parametrize(
    "token",
    [
        "cmp:42:rcp:977", "", "a.b.c.d", "7f3a.42.977", f"7f3a.{2**63}.1.1", f"7f3a.1.{2**63}.1", "7f3a.1.1.40000",
        f"7f3a.{'1' * 5000}.1.1", 42, None, ["7f3a.42.977.1"],
    ],
)  # fmt: skip
def test_what_is_no_token_of_the_house_is_none(token: object) -> None:
    assert report_of(biz_opaque_callback_data=token).token is None


@pytest.mark.parametrize(
    ("errors", "code", "detail"),
    [
        ([{"code": 131026}, {"code": 131047}], 131026, None),
        ([{"code": 999_999}, {"code": 131047, "title": "Re-engagement"}], 131047, "Re-engagement"),
        ([{"code": 999_998}, {"code": 999_999}], 999_998, None),
        ([{"title": "No code"}, {"code": 999_999}], 999_999, None),
        ([{"title": "No code"}], None, "No code"),
        ([{"code": 470, "message": "Old", "error_data": {"details": "Older"}}], 470, "Older; Old"),
        ([{"code": "131026", "error_data": "A text"}], 131026, "A text"),
        ([{"code": 2**31}], None, None),
        ([{"code": True, "error_data": {"details": ["x"]}, "message": 5}], None, None),
        ([None, "x", {"code": 131000}], 131000, None),
        ("Oh no", None, None),
        ({}, None, None),
    ],
)
def test_a_failure_tells_the_first_error_that_has_a_verdict(
    errors: object, code: int | None, detail: str | None
) -> None:
    failed_at = START + timedelta(seconds=10)
    assert report_of(status="failed", errors=errors).receipt == Receipt(
        failed_at=failed_at, code=code, detail=detail
    )


def test_a_failures_detail_is_cut() -> None:
    assert report_of(status="failed", errors=[{"message": "x" * 5000}]).receipt.detail == "x" * 300


def test_where_there_is_one_contact_it_is_the_writers_whatever_it_is_called() -> None:
    news = inbound_of({"profile": {"name": "Dana"}, "wa_id": "12025550199", "user_id": DANAS_ID})
    assert (news.person, news.user_id, news.name) == (DANA, DANAS_ID, "Dana")


def test_among_several_contacts_only_one_with_the_writers_id_is_the_writers() -> None:
    others = [{"profile": {"name": name}, "wa_id": f"1202555019{n}"} for n, name in enumerate(["Eli", "Fay"])]
    assert inbound_of(*others).name is None
    assert inbound_of(*others, {"profile": {"name": "Dana"}, "wa_id": DANA}).name == "Dana"


def test_a_message_named_by_numbers_instead_of_texts_is_read_all_the_same() -> None:
    metadata = {"phone_number_id": 200000000000001}
    news = one(a_body(a_value(metadata=metadata, messages=[a_text(**{"from": 12025550143})])))
    assert isinstance(news, Inbound)
    assert (news.phone_number_id, news.person) == ("200000000000001", DANA)


def news_of(value: dict[str, Any], **entry: Any) -> AccountNews:
    news = one(a_body(value, field="account_update", **entry))
    assert isinstance(news, AccountNews)
    return news


def test_the_key_of_news_is_the_same_for_every_delivery_of_the_same_news() -> None:
    first = news_of({"event": "A", "x": {"b": 1, "a": 2}}, time=1_795_000_000)
    again = news_of({"x": {"a": 2, "b": 1}, "event": "A"}, time=1_795_000_000)
    assert first.key == again.key
    assert len(first.key) == 64
    assert int(first.key, 16)


@pytest.mark.parametrize(
    "other",
    [
        a_body({"event": "B"}, field="account_update", time=1_795_000_000),
        a_body({"event": "A"}, field="account_alerts", time=1_795_000_000),
        a_body({"event": "A"}, field="account_update", time=1_795_000_001),
        a_body({"event": "A"}, field="account_update", time=1_795_000_000, id="2"),
        a_body({"event": "A"}, field="account_update"),
    ],
)
def test_the_key_differs_with_account_field_value_and_time(other: bytes) -> None:
    news = one(other)
    assert isinstance(news, AccountNews)
    assert news.key != news_of({"event": "A"}, time=1_795_000_000).key


def test_news_of_an_account_with_a_time_that_cannot_be_is_still_news() -> None:
    assert news_of({"event": "A"}, time="someday").at is None
