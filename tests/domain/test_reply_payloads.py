"""The wire format of replies, kind by kind, as Meta's pages have it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import orjson
import pytest

from dispatcher.channel.reply_payloads import FreeFormPayloads, content_of
from dispatcher.domain.contact import Contact, Contacts
from dispatcher.domain.ids import MessageId, PersonKey
from dispatcher.domain.interactive import Button, Buttons, Choices, HeaderMedia, Link, Row, Section
from dispatcher.domain.queued_reply import ClaimedReply
from dispatcher.domain.reply import FreeForm, Location, Media, MediaKind, Reaction, Text

DANA, DANAS_ID = "+12025550143", "US.7000000000000000001"
LINK = "https://cdn.example/a"


def a_reply(content: FreeForm, **fields: Any) -> ClaimedReply:
    """A reply to Dana, whose number is known, except in what is said otherwise."""
    known: dict[str, Any] = {"person": DANA, "user_id": None, "context_wamid": None, **fields}
    return ClaimedReply(
        id=MessageId(1),
        key=PersonKey(DANA),
        content=content_of(content),
        attempt=1,
        open_for=timedelta(hours=1),
        **known,
    )


def rendered(content: FreeForm, **fields: Any) -> Any:
    return orjson.loads(FreeFormPayloads().render(a_reply(content, **fields), "i.0.1.1"))


@pytest.mark.parametrize(
    ("content", "wire"),
    [
        (Text("Hello"), {"type": "text", "text": {"preview_url": False, "body": "Hello"}}),
        (
            Media(MediaKind.IMAGE, LINK, caption="Look"),
            {"type": "image", "image": {"link": LINK, "caption": "Look"}},
        ),
        (
            Media(MediaKind.DOCUMENT, "9001", filename="bill.pdf"),
            {"type": "document", "document": {"id": "9001", "filename": "bill.pdf"}},
        ),
        (Media(MediaKind.STICKER, "9001"), {"type": "sticker", "sticker": {"id": "9001"}}),
        (
            Location(52.5, 13.4, "Berlin"),
            {"type": "location", "location": {"latitude": 52.5, "longitude": 13.4, "name": "Berlin"}},
        ),
        (Reaction("wamid.x", ""), {"type": "reaction", "reaction": {"message_id": "wamid.x", "emoji": ""}}),
        (
            Contacts([Contact("Ana Lima", "Ana", ["+12025550177"], ["ana@example.org"], "Harbour")]),
            {
                "type": "contacts",
                "contacts": [
                    {
                        "name": {"formatted_name": "Ana Lima", "first_name": "Ana"},
                        "phones": [{"phone": "+12025550177"}],
                        "emails": [{"email": "ana@example.org"}],
                        "org": {"company": "Harbour"},
                    }
                ],
            },
        ),
        (
            Buttons("When?", [Button("am", "Morning")], "Delivery", "Thanks"),
            {
                "type": "interactive",
                "interactive": {
                    "type": "button",
                    "header": {"type": "text", "text": "Delivery"},
                    "body": {"text": "When?"},
                    "footer": {"text": "Thanks"},
                    "action": {"buttons": [{"type": "reply", "reply": {"id": "am", "title": "Morning"}}]},
                },
            },
        ),
        (
            Buttons("When?", [Button("am", "Morning")], HeaderMedia("image", "9001")),
            {
                "type": "interactive",
                "interactive": {
                    "type": "button",
                    "header": {"type": "image", "image": {"id": "9001"}},
                    "body": {"text": "When?"},
                    "action": {"buttons": [{"type": "reply", "reply": {"id": "am", "title": "Morning"}}]},
                },
            },
        ),
        (
            Choices(
                "Where?", "Branches", [Section([Row("b1", "Harbour"), Row("b2", "Quay", "Late")], "North")]
            ),
            {
                "type": "interactive",
                "interactive": {
                    "type": "list",
                    "body": {"text": "Where?"},
                    "action": {
                        "button": "Branches",
                        "sections": [
                            {
                                "title": "North",
                                "rows": [
                                    {"id": "b1", "title": "Harbour"},
                                    {"id": "b2", "title": "Quay", "description": "Late"},
                                ],
                            }
                        ],
                    },
                },
            },
        ),
        (
            Link("Track your order", "Track", LINK),
            {
                "type": "interactive",
                "interactive": {
                    "type": "cta_url",
                    "body": {"text": "Track your order"},
                    "action": {"name": "cta_url", "parameters": {"display_text": "Track", "url": LINK}},
                },
            },
        ),
    ],
)
def test_each_kind_looks_as_meta_takes_it(content: FreeForm, wire: dict[str, Any]) -> None:
    assert rendered(content) == {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": DANA,
        "biz_opaque_callback_data": "i.0.1.1",
        **wire,
    }


def test_a_person_without_a_number_is_addressed_by_user_id() -> None:
    body = rendered(Text("Done."), person=None, user_id=DANAS_ID)
    assert body["recipient"] == DANAS_ID
    assert "to" not in body


def test_where_a_number_is_known_it_is_used() -> None:
    body = rendered(Text("Done."), user_id=DANAS_ID)
    assert body["to"] == DANA
    assert "recipient" not in body


def test_an_answer_names_the_message_that_it_answers() -> None:
    assert rendered(Text("Yes"), context_wamid="wamid.q")["context"] == {"message_id": "wamid.q"}
    assert "context" not in rendered(Text("Yes"))


def test_a_mark_is_no_message() -> None:
    payloads = FreeFormPayloads()
    read = {"messaging_product": "whatsapp", "status": "read", "message_id": "wamid.q"}
    assert orjson.loads(payloads.mark_read("wamid.q", is_typing=False)) == read
    typing = {**read, "typing_indicator": {"type": "text"}}
    assert orjson.loads(payloads.mark_read("wamid.q", is_typing=True)) == typing
