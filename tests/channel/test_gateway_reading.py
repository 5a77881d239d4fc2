"""What clients post to Meta's door is read whole, rendered again as it was, or refused by the name of the field at fault."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.channel.gateway_messages import FreeFormMessage, Mark, TemplateMessage, read_posted
from dispatcher.channel.gateway_templates import TemplateReading
from dispatcher.channel.payloads import compile_template
from dispatcher.channel.reply_payloads import content_of
from dispatcher.domain.content import ANSWERED, Column, SlotMapping
from dispatcher.domain.gateway import Objection, Refused
from dispatcher.domain.template import Template, parse_template

TO = "+12025550143"
ENVELOPE = {"messaging_product": "whatsapp", "recipient_type": "individual", "to": TO}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)

ACTION = {"buttons": [{"type": "reply", "reply": {"id": "am", "title": "Morning"}}]}
LIST = {
    "button": "Choose",
    "sections": [{"title": "A", "rows": [{"id": "1", "title": "One", "description": "x"}]}],
}
OPENS = {"name": "cta_url", "parameters": {"display_text": "Open", "url": "https://shop.example"}}
CONTENTS: Sequence[Mapping[str, Any]] = [
    {"type": "text", "text": {"preview_url": True, "body": "See https://shop.example\nthere"}},
    {"type": "image", "image": {"link": "https://shop.example/a.png", "caption": "Look"}},
    {"type": "video", "video": {"id": "4711"}},
    {"type": "document", "document": {"id": "4711", "caption": "Yours", "filename": "bill.pdf"}},
    {"type": "audio", "audio": {"id": "4711", "voice": True}},
    {"type": "sticker", "sticker": {"id": "4711"}},
    {
        "type": "location",
        "location": {"latitude": 52.5, "longitude": 13.5, "name": "Shop", "address": "Kai 1"},
    },
    {"type": "reaction", "reaction": {"message_id": "wamid.x", "emoji": ""}},
    {
        "type": "contacts",
        "contacts": [
            {
                "name": {"formatted_name": "Ann B", "last_name": "B"},
                "phones": [{"phone": TO, "type": "CELL", "wa_id": "12025550143"}],
                "org": {"company": "Shop", "title": "Owner"},
            }
        ],
    },
    {
        "type": "interactive",
        "interactive": {
            "type": "button",
            "header": {"type": "document", "document": {"id": "4711", "filename": "a.pdf"}},
            "body": {"text": "When?"},
            "footer": {"text": "Harbour"},
            "action": ACTION,
        },
    },
    {
        "type": "interactive",
        "interactive": {
            "type": "list",
            "header": {"type": "text", "text": "Sizes"},
            "body": {"text": "Which?"},
            "action": LIST,
        },
    },
    {
        "type": "interactive",
        "interactive": {
            "type": "cta_url",
            "header": {"type": "image", "image": {"link": "https://shop.example/a.png"}},
            "body": {"text": "Here"},
            "footer": {"text": "Harbour"},
            "action": OPENS,
        },
    },
    {
        "type": "interactive",
        "interactive": {
            "type": "flow",
            "body": {"text": "Book"},
            "action": {"name": "flow", "parameters": {"flow_id": "1", "flow_cta": "Go"}},
        },
    },
    {
        "type": "interactive",
        "interactive": {
            "type": "location_request_message",
            "body": {"text": "Where?"},
            "action": {"name": "send_location"},
        },
    },
]


def kind_of(content: Mapping[str, Any]) -> str:
    return str(content["interactive"]["type"] if content["type"] == "interactive" else content["type"])


@pytest.mark.parametrize("content", CONTENTS, ids=kind_of)
def test_what_is_posted_is_what_will_be_sent(content: Mapping[str, Any]) -> None:
    read = read_posted(
        {**ENVELOPE, **content, "context": {"message_id": "wamid.q"}, "biz_opaque_callback_data": "x"}
    )
    assert isinstance(read, FreeFormMessage), read
    assert content_of(read.content) == content
    assert (read.person, read.context_id, read.callback_data) == (TO, "wamid.q", "x")


@pytest.mark.parametrize("content", CONTENTS, ids=kind_of)
def test_no_field_is_passed_over(content: Mapping[str, Any]) -> None:
    """Wherever the house reads a message by itself, a field that it does not know is an objection."""
    read = read_posted({**ENVELOPE, **content, "message_activity_sharing": True})
    assert isinstance(read, Refused)
    assert (read.why, "message_activity_sharing" in read.details) == (Objection.UNKNOWN_FIELD, True)
    inner = content[content["type"]]
    if isinstance(inner, dict) and kind_of(content) not in {"flow", "location_request_message"}:
        read = read_posted({**ENVELOPE, **content, content["type"]: {**inner, "misspelt": 1}})
        assert isinstance(read, Refused), read
        assert read.why is Objection.UNKNOWN_FIELD


@pytest.mark.parametrize(
    ("given", "person"),
    [
        ("12025550143", TO),
        ("+1 (202) 555-0143", TO),
        ("491711234567", "+491711234567"),
    ],
)
def test_numbers_are_read_as_clients_write_them(given: str, person: str) -> None:
    read = read_posted({**ENVELOPE, "to": given, "text": {"body": "Hello"}})
    assert isinstance(read, FreeFormMessage)
    assert (read.recipient, read.person) == (given, person)


def test_marks_and_people_without_a_number() -> None:
    mark = {"messaging_product": "whatsapp", "status": "read", "message_id": "wamid.q"}
    assert read_posted(mark) == Mark("wamid.q", is_typing=False)
    assert read_posted({**mark, "typing_indicator": {"type": "text"}}) == Mark("wamid.q", is_typing=True)
    hidden = {
        "messaging_product": "whatsapp",
        "recipient": "US.7000000000000000001",
        "text": {"body": "Hello"},
    }
    read = read_posted(hidden)
    assert isinstance(read, FreeFormMessage)
    assert read.person == "US.7000000000000000001"


@pytest.mark.parametrize(
    ("said", "why", "field"),
    [
        ({}, Objection.MISSING_FIELD, "text"),
        ({"to": None}, Objection.MISSING_FIELD, "to"),
        ({"to": "nobody", "text": {"body": "x"}}, Objection.BAD_FIELD, "to"),
        ({"to": 12025550143, "text": {"body": "x"}}, Objection.BAD_FIELD, "to"),
        ({"to": None, "recipient": "Ann", "text": {"body": "x"}}, Objection.BAD_FIELD, "recipient"),
        ({"messaging_product": "sms"}, Objection.UNKNOWN_FIELD, "messaging_product"),
        ({"recipient_type": "group"}, Objection.BAD_FIELD, "recipient_type"),
        ({"type": "poll"}, Objection.UNKNOWN_TYPE, "poll"),
        ({"type": "text", "text": {}}, Objection.MISSING_FIELD, "text.body"),
        ({"type": "text", "text": "x"}, Objection.BAD_FIELD, "text"),
        ({"type": "image", "image": {"caption": "x"}}, Objection.MISSING_FIELD, "image.id"),
        (
            {"type": "location", "location": {"latitude": True, "longitude": 1}},
            Objection.BAD_FIELD,
            "latitude",
        ),
        ({"type": "contacts", "contacts": [{}]}, Objection.MISSING_FIELD, "contacts[0].name"),
        ({"type": "interactive", "interactive": {"type": "quiz"}}, Objection.BAD_FIELD, "interactive.type"),
        ({"text": {"body": "x"}, "biz_opaque_callback_data": "x" * 513}, Objection.BAD_FIELD, "biz_opaque"),
        ({"status": "unread", "message_id": "x"}, Objection.BAD_FIELD, "status"),
    ],
)
def test_an_objection_names_the_field(said: Mapping[str, Any], why: Objection, field: str) -> None:
    read = read_posted({**ENVELOPE, **said})
    assert isinstance(read, Refused), read
    assert (read.why, field in read.details) == (why, True), read


@given(JSON | st.fixed_dictionaries({"messaging_product": st.just("whatsapp")}, optional={
    "to": st.just(TO) | JSON, "type": st.sampled_from(["text", "image", "interactive", "template", "contacts"]) | JSON,
    "text": JSON, "image": JSON, "interactive": JSON, "template": JSON, "contacts": JSON, "context": JSON,
}))  # fmt: skip
def test_whatever_is_posted_has_an_answer(body: object) -> None:
    assert isinstance(read_posted(body), FreeFormMessage | TemplateMessage | Mark | Refused)


# templates

IMAGE = {"type": "HEADER", "format": "IMAGE"}
BODY = {"type": "BODY", "text": "Hi {{1}}, take {{2}} off."}
BUTTONS = {
    "type": "BUTTONS",
    "buttons": [
        {"type": "QUICK_REPLY", "text": "Stop"},
        {"type": "URL", "text": "Shop", "url": "https://shop.example/{{1}}"},
        {"type": "COPY_CODE", "text": "Copy"},
        {"type": "FLOW", "text": "Book"},
        {"type": "CATALOG", "text": "Look"},
    ],
}
CARD = {
    "components": [
        IMAGE,
        {"type": "BODY", "text": "{{1}} off"},
        {"type": "BUTTONS", "buttons": BUTTONS["buttons"][:2]},
    ]
}
TEMPLATES: Mapping[str, tuple[dict[str, Any], Mapping[str, str]]] = {
    "everything": (
        {"components": [IMAGE, BODY, BUTTONS]},
        {
            "header.image": "https://shop.example/a.png",
            "body.1": "Dana",
            "body.2": "20%",
            "button.0.payload": "STOP",
            "button.1.url": "x-1",
            "button.2.code": "AUT20",
            "button.3.flow_token": "t",
            "button.4.product": "sku",
        },
    ),
    "optional parts left out": (
        {"components": [{"type": "HEADER", "format": "DOCUMENT"}, BODY, BUTTONS]},
        {
            "header.document": "4711",
            "body.1": "Dana",
            "body.2": "20%",
            "button.1.url": "x-1",
            "button.2.code": "AUT20",
        },
    ),
    "by name": (
        {
            "parameter_format": "NAMED",
            "components": [
                {"type": "HEADER", "format": "TEXT", "text": "For {{who}}"},
                {"type": "BODY", "text": "{{first_name}} gets {{gift}}"},
            ],
        },
        {"header.who": "you", "body.first_name": "Dana", "body.gift": "a hat"},
    ),
    "a place": (
        {"components": [{"type": "HEADER", "format": "LOCATION"}, {"type": "BODY", "text": "Here."}]},
        {
            "header.location.latitude": "52.52",
            "header.location.longitude": "13.4",
            "header.location.name": "Shop",
            "header.location.address": "Kai 1",
        },
    ),
    "a code": (
        {
            "category": "AUTHENTICATION",
            "components": [
                {"type": "BODY", "text": "{{1}} is your code."},
                {"type": "BUTTONS", "buttons": [{"type": "OTP"}]},
            ],
        },
        {"body.1": "481516", "button.0.code": "481516"},
    ),
    "an offer with cards": (
        {
            "components": [
                BODY,
                {"type": "LIMITED_TIME_OFFER", "limited_time_offer": {"has_expiration": True}},
                {"type": "CAROUSEL", "cards": [CARD, CARD]},
            ]
        },
        {
            "body.1": "Dana",
            "body.2": "20%",
            "lto.expiration": "1796000000000",
            **{
                f"card.{n}.{path}": value
                for n in range(2)
                for path, value in {
                    "header.image": "4711",
                    "body.1": "10%",
                    "button.0.payload": f"more {n}",
                    "button.1.url": "c",
                }.items()
            },
        },
    ),
    "nothing to fill": ({"components": [{"type": "BODY", "text": "We are open."}]}, {}),
}


def a_template(fields: Mapping[str, Any]) -> Template:
    known = {"name": "offer", "language": "en_US", "status": "APPROVED", "category": "MARKETING"}
    return parse_template({**known, **fields})


def components_of(template: Template, values: Mapping[str, str]) -> list[dict[str, Any]]:
    """As the house itself writes them to Meta."""
    mapping = SlotMapping(tuple((path, Column(path)) for path in values))
    rendered = compile_template(template, mapping).render(TO, list(values.values()), "t")
    assert isinstance(rendered, bytes), rendered
    found: list[dict[str, Any]] = json.loads(rendered)["template"].get("components", [])
    return found


@pytest.mark.parametrize("case", TEMPLATES)
def test_reading_is_the_inverse_of_writing(case: str) -> None:
    fields, values = TEMPLATES[case]
    template = a_template(fields)
    read = TemplateReading().values(template, components_of(template, values))
    assert read == values
    assert list(read) == [slot.path for slot in template.slots if slot.path in values]


def test_a_template_may_answer_a_message() -> None:
    template = a_template({"components": [BODY]})
    values = {"body.1": "Dana", "body.2": "20%", ANSWERED.path: "wamid.q"}
    mapping = SlotMapping(tuple((path, Column(path)) for path in values))
    rendered = compile_template(template, mapping).render(TO, list(values.values()), "t")
    assert isinstance(rendered, bytes)
    message = json.loads(rendered)
    assert message["context"] == {"message_id": "wamid.q"}
    read = read_posted({name: value for name, value in message.items() if name != "biz_opaque_callback_data"})
    assert isinstance(read, TemplateMessage)
    assert read.context_id == "wamid.q"
    assert TemplateReading().values(template, read.order.components) == {"body.1": "Dana", "body.2": "20%"}


@pytest.mark.parametrize("case", [case for case, (_, values) in TEMPLATES.items() if values])
def test_what_is_left_out_or_too_much_is_refused(case: str) -> None:
    fields, values = TEMPLATES[case]
    template = a_template(fields)
    components = components_of(template, values)
    for place, component in enumerate(components):
        read = TemplateReading().values(template, components[:place] + components[place + 1 :])
        if component["type"] != "button" or component["sub_type"] in {"url", "copy_code"}:
            assert isinstance(read, Refused), component
        twice = TemplateReading().values(template, [*components, component])
        assert isinstance(twice, Refused), component


@pytest.mark.parametrize(
    ("components", "why"),
    [
        ([], Objection.WRONG_COUNT),
        ([{"type": "body", "parameters": [{"type": "text", "text": "x"}]}], Objection.WRONG_COUNT),
        ([{"type": "body", "parameters": [{"type": "text", "text": "x"}] * 3}], Objection.WRONG_COUNT),
        (
            [{"type": "body", "parameters": [{"type": "text", "parameter_name": "a", "text": "x"}] * 2}],
            Objection.WRONG_FORMAT,
        ),
        ([{"type": "body", "parameters": [{"type": "currency"}] * 2}], Objection.WRONG_FORMAT),
        ([{"type": "body", "parameters": [{"type": "text", "text": "a\nb"}] * 2}], Objection.BAD_PARAMETER),
        ([{"type": "body", "parameters": [{"type": "text", "text": "x" * 1000}] * 2}], Objection.TOO_LONG),
        ([{"type": "body", "parameters": [{"type": "text"}] * 2}], Objection.MISSING_FIELD),
        ([{"type": "tap_target_configuration"}], Objection.UNKNOWN_FIELD),
        (["body"], Objection.BAD_FIELD),
        (
            [{"type": "header", "parameters": [{"type": "image", "image": {"id": "1"}}]}],
            Objection.WRONG_COUNT,
        ),
    ],
)
def test_components_that_do_not_fit(components: list[Any], why: Objection) -> None:
    read = TemplateReading().values(a_template({"components": [BODY]}), components)
    assert isinstance(read, Refused)
    assert read.why is why, read


def test_a_constant_part_may_be_named() -> None:
    template = a_template({"components": [{"type": "BODY", "text": "We are open."}]})
    for body in ({"type": "body"}, {"type": "BODY", "parameters": []}):
        assert TemplateReading().values(template, [body]) == {}


def test_a_header_of_another_kind_is_told_as_meta_tells_it() -> None:
    template = a_template({"components": [IMAGE]})
    video = [{"type": "header", "parameters": [{"type": "video", "video": {"id": "1"}}]}]
    for components in ([], video):
        read = TemplateReading().values(template, components)
        assert isinstance(read, Refused)
        assert read.why is Objection.WRONG_FORMAT, read


@given(st.lists(JSON | st.fixed_dictionaries({"type": st.sampled_from(["header", "body", "button", "carousel"])}, optional={
    "parameters": JSON, "index": JSON, "sub_type": st.sampled_from(["url", "flow"]) | JSON, "cards": JSON,
})))  # fmt: skip
def test_any_components_have_an_answer(components: list[Any]) -> None:
    template = a_template(TEMPLATES["an offer with cards"][0])
    assert isinstance(TemplateReading().values(template, components), Refused)
