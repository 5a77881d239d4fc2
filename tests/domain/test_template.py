"""Templates: Meta's description becomes slots, and what is not understood is not sent."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.domain.template import (
    Category,
    SlotKind,
    Template,
    TemplateStatus,
    parse_template,
)


def a_template(*components: dict[str, Any], **fields: Any) -> Template:
    return parse_template(
        {
            "id": "600000000000001",
            "name": "autumn_offer",
            "language": "en_US",
            "status": "APPROVED",
            "category": "MARKETING",
            "components": list(components),
            **fields,
        }
    )


def a_body(text: str) -> dict[str, Any]:
    return {"type": "BODY", "text": text}


def buttons(*items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "BUTTONS", "buttons": list(items)}


def paths(template: Template) -> list[str]:
    return [slot.path for slot in template.slots]


def test_a_named_template_wants_its_names() -> None:
    template = a_template(
        {"type": "HEADER", "format": "IMAGE", "example": {"header_handle": ["4::aW"]}},
        a_body("Hi {{first_name}}, take {{discount}} off until Sunday."),
        {"type": "FOOTER", "text": "Tap Stop to opt out"},
        buttons(
            {"type": "QUICK_REPLY", "text": "Stop"},
            {"type": "URL", "text": "Shop", "url": "https://shop.example/{{1}}"},
        ),
        parameter_format="NAMED",
    )
    assert paths(template) == [
        "header.image",
        "body.first_name",
        "body.discount",
        "button.0.payload",
        "button.1.url",
    ]
    assert template.is_named
    assert template.is_sendable
    assert (template.name, template.language, template.category, template.id) == (
        "autumn_offer",
        "en_US",
        Category.MARKETING,
        "600000000000001",
    )


def test_positions_come_in_order_and_each_once() -> None:
    template = a_template(a_body("{{2}} and {{1}}, again {{2}}"), parameter_format="POSITIONAL")
    assert paths(template) == ["body.1", "body.2"]
    [body] = template.texts
    assert body.placeholders == ("2", "1", "2")
    assert body.constant_chars == len(" and , again ")


def test_ten_positions_are_ordered_as_numbers() -> None:
    template = a_template(a_body(" ".join(f"{{{{{n}}}}}" for n in range(1, 12))))
    assert paths(template) == [f"body.{n}" for n in range(1, 12)]


@pytest.mark.parametrize(
    ("text", "is_named"), [("Hi {{first_name}}", True), ("Hi {{1}}", False), ("Hi", False)]
)
def test_where_meta_does_not_say_the_placeholders_tell(text: str, is_named: bool) -> None:
    assert a_template(a_body(text)).is_named is is_named


def test_a_name_among_positions_is_not_sent() -> None:
    template = a_template(a_body("Hi {{first_name}}"), parameter_format="POSITIONAL")
    assert not template.is_sendable
    assert "first_name" in template.unsupported[0]


@pytest.mark.parametrize(
    ("header", "slots"),
    [
        ({"format": "TEXT", "text": "Hi {{1}}"}, {"header.1": SlotKind.TEXT}),
        ({"format": "TEXT", "text": "Hello"}, {}),
        ({"format": "VIDEO"}, {"header.video": SlotKind.VIDEO}),
        (
            {"format": "DOCUMENT"},
            {"header.document": SlotKind.DOCUMENT, "header.filename": SlotKind.FILENAME},
        ),
        (
            {"format": "LOCATION"},
            {
                "header.location.latitude": SlotKind.LATITUDE,
                "header.location.longitude": SlotKind.LONGITUDE,
                "header.location.name": SlotKind.TEXT,
                "header.location.address": SlotKind.TEXT,
            },
        ),
    ],
)
def test_a_header_wants_what_its_format_says(header: dict[str, Any], slots: dict[str, SlotKind]) -> None:
    template = a_template({"type": "HEADER", **header})
    assert {slot.path: slot.kind for slot in template.slots} == slots


@pytest.mark.parametrize(
    ("button", "path", "required"),
    [
        ({"type": "QUICK_REPLY", "text": "Stop"}, "button.0.payload", False),
        ({"type": "URL", "url": "https://shop.example/{{1}}"}, "button.0.url", True),
        ({"type": "URL", "url": "https://shop.example/"}, None, False),
        ({"type": "PHONE_NUMBER", "phone_number": "+12025550143"}, None, False),
        ({"type": "COPY_CODE", "example": "AUT20"}, "button.0.code", True),
        ({"type": "FLOW", "flow_id": "1"}, "button.0.flow_token", False),
        ({"type": "CATALOG"}, "button.0.product", False),
        ({"type": "OTP", "otp_type": "COPY_CODE"}, "button.0.code", True),
    ],
)
def test_a_button_wants_what_its_type_says(button: dict[str, Any], path: str | None, required: bool) -> None:
    template = a_template(buttons(button))
    assert [(slot.path, slot.required) for slot in template.slots] == ([(path, required)] if path else [])
    assert template.is_sendable


def test_a_one_time_code_goes_into_body_and_button() -> None:
    template = a_template(
        {"type": "BODY", "text": "*{{1}}* is your code.", "add_security_recommendation": True},
        buttons({"type": "URL", "url": "https://www.whatsapp.com/otp/code/?code=otp{{1}}"}),
        category="AUTHENTICATION",
    )
    assert [(slot.path, slot.kind, slot.max_chars) for slot in template.slots] == [
        ("body.1", SlotKind.TEXT, 15),
        ("button.0.code", SlotKind.OTP_CODE, 15),
    ]


def test_a_carousel_wants_the_slots_of_each_card() -> None:
    card = {
        "components": [
            {"type": "HEADER", "format": "IMAGE"},
            a_body("Save {{1}}"),
            buttons({"type": "QUICK_REPLY"}, {"type": "URL", "url": "https://shop.example/{{1}}"}),
        ]
    }
    template = a_template(a_body("Hi {{1}}"), {"type": "CAROUSEL", "cards": [card, card]})
    assert template.card_count == 2
    assert paths(template) == ["body.1"] + [
        f"card.{n}.{slot}"
        for n in (0, 1)
        for slot in ("header.image", "body.1", "button.0.payload", "button.1.url")
    ]
    assert [(text.path, text.max_chars) for text in template.texts] == [
        ("body", 1024),
        ("card.0.body", 160),
        ("card.1.body", 160),
    ]


@pytest.mark.parametrize("expires", [True, False])
def test_an_offer_wants_its_end_only_if_it_has_one(expires: bool) -> None:
    template = a_template(
        {"type": "LIMITED_TIME_OFFER", "limited_time_offer": {"text": "Soon", "has_expiration": expires}},
        a_body("Hi {{1}}"),
    )
    slot = template.slot("lto.expiration")
    assert slot is not None
    assert slot.required is expires
    assert template.texts[0].max_chars == 600


@pytest.mark.parametrize(
    "part",
    [
        {"type": "HEADER", "format": "PRODUCT"},
        {"type": "HOLOGRAM"},
        {"type": "BODY", "text": "Hi {{1}}"},
        {},
        {"type": "BUTTONS", "buttons": [{"type": "MPM"}]},
        {"type": "CAROUSEL", "cards": [{"components": [{"type": "HEADER", "format": "PRODUCT"}]}]},
    ],
)
def test_what_is_not_understood_is_not_sent_and_says_so(part: dict[str, Any]) -> None:
    template = a_template(part, a_body("Hi {{1}}"))
    assert not template.is_sendable
    assert len(template.unsupported) == 1
    assert "body.1" in paths(template)


@pytest.mark.parametrize(
    ("status", "sendable"),
    [
        ("APPROVED", True),
        ("FLAGGED", True),
        ("approved", True),
        ("PAUSED", False),
        ("PENDING", False),
        ("NEW", False),
    ],
)
def test_only_some_statuses_may_be_sent(status: str, sendable: bool) -> None:
    assert a_template(a_body("Hi"), status=status).is_sendable is sendable


def test_an_unknown_status_is_kept_as_unknown() -> None:
    assert a_template(status="SOMETHING").status is TemplateStatus.UNKNOWN


@pytest.mark.parametrize("field", ["name", "language"])
def test_without_name_or_language_it_is_no_template(field: str) -> None:
    with pytest.raises(ValueError, match="name and a language"):
        a_template(**{field: None})


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
words = st.sampled_from(
    ["type", "format", "text", "buttons", "cards", "components", "url", "limited_time_offer"]
)
types = st.sampled_from(
    ["HEADER", "BODY", "BUTTONS", "CAROUSEL", "LIMITED_TIME_OFFER", "URL", "OTP", "IMAGE", "TEXT"]
)
near_json = st.recursive(
    json | types | st.just("{{1}} {{a}}"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=4),
    max_leaves=12,
)


@given(near_json)
def test_no_description_breaks_the_reader(components: object) -> None:
    template = a_template(components=components)
    assert len(set(paths(template))) == len(template.slots)
