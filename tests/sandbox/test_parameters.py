"""Messages are compared with what their template asks for."""

from pathlib import Path
from typing import Any

import pytest

from dispatcher.sandbox import load_world
from dispatcher.sandbox.parameters import check_components
from dispatcher.sandbox.templates import read_form

from .builders import body, button, header

SHIPPED = Path(__file__).parents[2] / "config" / "sandbox.toml"

IMAGE = {"type": "HEADER", "format": "IMAGE"}
TEXT_HEADER = {"type": "HEADER", "format": "TEXT", "text": "For {{1}}"}
BUTTONS = {
    "type": "BUTTONS",
    "buttons": [
        {"type": "QUICK_REPLY", "text": "Stop"},
        {"type": "URL", "text": "Shop", "url": "https://shop.example/{{1}}"},
        {"type": "URL", "text": "Home", "url": "https://shop.example/"},
    ],
}
SUFFIX = button("url", 1, "text", "abc")


def code(
    components: object, *parts: dict[str, Any], text: str = "Hello {{1}}.", named: bool = False
) -> int | None:
    """The code a message with these components is refused with, for a template of these parts."""
    refusal = check_components(read_form([{"type": "BODY", "text": text}, *parts], named=named), components)
    return None if refusal is None else refusal.code


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["Dana"], None),
        ([], 132000),
        (["Dana", "20%"], 132000),
        (["two\nlines"], 132018),
        (["a\ttab"], 132018),
        (["four    spaces"], None),
        (["five     spaces"], 132018),
        ([""], 132018),
        (["   "], 132018),
        (["x" * 1017], None),
        (["x" * 1018], 132005),
        (["Ünï😀"], None),
    ],
)
def test_body_texts_are_counted_read_and_measured(texts: list[str], expected: int | None) -> None:
    assert code([body(*texts)]) == expected


def test_a_variable_used_twice_takes_room_twice() -> None:
    assert code([body("x" * 511)], text="{{1}} {{1}}") is None
    assert code([body("x" * 512)], text="{{1}} {{1}}") == 132005


def test_named_parameters_come_in_any_order_and_by_their_names() -> None:
    text = "Hi {{first_name}}, {{discount}} off"
    assert code([body(discount="5%", first_name="Dana")], text=text, named=True) is None
    assert code([body("Dana", "5%")], text=text, named=True) == 132012
    assert code([body(first_name="Dana", code="5%")], text=text, named=True) == 132012
    assert code([body(first_name="Dana")], text=text, named=True) == 132000
    twice = {"type": "body", "parameters": body(first_name="Dana")["parameters"] * 2}
    assert code([twice], text=text, named=True) == 132012


def test_money_and_dates_show_their_fallback() -> None:
    money = {"type": "currency", "currency": {"fallback_value": "$12", "code": "USD", "amount_1000": 12000}}
    assert code([{"type": "body", "parameters": [money]}]) is None
    assert code([{"type": "body", "parameters": [{"type": "date_time", "date_time": {}}]}]) == 131008
    assert code([{"type": "body", "parameters": [{"type": "image", "image": {"id": "1"}}]}]) == 132012


def test_a_template_without_variables_needs_no_components() -> None:
    assert code(None, text="Hello.") is None
    assert code([body("Dana")], text="Hello.") == 132000
    assert code([header("image", {"id": "1"}), body("Dana")]) == 132000


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (header("image", {"id": "900"}), None),
        (header("image", {"link": "https://shop.example/a.png"}), None),
        (header("image", {"link": "ftp://shop.example/a.png"}), 131009),
        (header("image", {}), 131008),
        (header("image", "900"), 131008),
        (header("video", {"id": "900"}), 132012),
        ({"type": "header", "parameters": []}, 132012),
    ],
)
def test_a_media_header_is_of_its_templates_kind(head: dict[str, Any], expected: int | None) -> None:
    assert code([head, body("Dana")], IMAGE) == expected


def test_a_left_out_media_header_is_a_format_mismatch() -> None:
    assert code([body("Dana")], IMAGE) == 132012


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ({"latitude": "52.5", "longitude": "13.4", "name": "Shop"}, None),
        ({"latitude": 52.5}, 131008),
        ({"latitude": "north", "longitude": 13}, 131009),
        ({"latitude": 91, "longitude": 13}, 131009),
    ],
)
def test_a_location_header_has_a_place_on_earth(place: dict[str, Any], expected: int | None) -> None:
    assert (
        code([header("location", place), body("Dana")], {"type": "HEADER", "format": "LOCATION"}) == expected
    )


def test_a_text_header_has_sixty_characters() -> None:
    assert code([header("text", "x" * 56), body("Dana")], TEXT_HEADER) is None
    assert code([header("text", "x" * 57), body("Dana")], TEXT_HEADER) == 132005


@pytest.mark.parametrize(
    ("buttons", "expected"),
    [
        ([SUFFIX], None),
        ([SUFFIX, button("quick_reply", 0, "payload", "STOP")], None),
        ([{**SUFFIX, "sub_type": "URL", "index": 1}], None),
        ([], 131008),
        ([button("url", 1, "text", "")], 131008),
        ([button("url", 1, "text", "x" * 2000)], 132005),
        ([SUFFIX, SUFFIX], 132018),
        ([SUFFIX, button("url", 2, "text", "abc")], 132018),
        ([SUFFIX, button("url", 3, "text", "abc")], 132018),
        ([SUFFIX, button("quick_reply", 0, "text", "STOP")], 132012),
        ([button("quick_reply", 1, "payload", "STOP")], 132018),
        ([{**SUFFIX, "parameters": []}], 132000),
        ([{**SUFFIX, "index": "first"}], 131008),
    ],
)
def test_buttons_take_what_their_kind_takes(buttons: list[dict[str, Any]], expected: int | None) -> None:
    assert code([body("Dana"), *buttons], BUTTONS) == expected


def test_codes_to_copy_are_needed_and_short() -> None:
    coupon = {"type": "BUTTONS", "buttons": [{"type": "COPY_CODE"}]}
    otp = {"type": "BUTTONS", "buttons": [{"type": "OTP", "otp_type": "COPY_CODE"}]}
    assert code([body("D"), button("copy_code", 0, "coupon_code", "AUT20")], coupon) is None
    assert code([body("D"), button("copy_code", 0, "coupon_code", "x" * 21)], coupon) == 132018
    assert code([body("D")], coupon) == 131008
    assert code([body("481516"), button("url", 0, "text", "481516")], otp) is None
    assert code([body("481516"), button("url", 0, "text", "x" * 16)], otp) == 132018


def test_a_flow_needs_no_parameters_but_takes_an_action() -> None:
    flow = {"type": "BUTTONS", "buttons": [{"type": "FLOW"}]}
    assert code([body("D")], flow) is None
    assert code([body("D"), button("flow", 0, "action", {"flow_token": "t"})], flow) is None
    assert code([body("D"), button("flow", 0, "action", "t")], flow) == 131008


def a_card(index: int, *components: dict[str, Any]) -> dict[str, Any]:
    return {"card_index": index, "components": list(components)}


@pytest.mark.parametrize(
    ("cards", "expected"),
    [
        ([a_card(0, header("image", {"id": "1"}), body("5%")), a_card(1, header("image", {"id": "2"}), body("9%"))], None),
        ([a_card(0, header("image", {"id": "1"}), body("5%"))], 132000),
        ([a_card(0, header("image", {"id": "1"}), body("5%"))] * 2, 132018),
        ([a_card(0, header("image", {"id": "1"}), body("5%")), a_card(1, header("image", {"id": "2"}))], 132000),
        ([a_card(0, header("image", {"id": "1"}), body("5%")), a_card(1, header("video", {"id": "2"}), body("9%"))], 132012),
        ([a_card(0, header("image", {"id": "1"}), body("5%")), a_card(1, header("image", {"id": "2"}), body("x" * 160))], 132005),
        (None, 132000),
    ],
)  # fmt: skip
def test_a_carousel_fills_every_card(cards: Any, expected: int | None) -> None:
    card = {"components": [IMAGE, {"type": "BODY", "text": "{{1}} off"}]}
    carousel = {"type": "CAROUSEL", "cards": [card, card]}
    components = [body("Dana")] + ([] if cards is None else [{"type": "carousel", "cards": cards}])
    assert code(components, carousel) == expected


@pytest.mark.parametrize(
    ("components", "expected"),
    [
        ("none", 100),
        (["none"], 100),
        ([{"type": "sidebar"}], 100),
        ([body("Dana"), body("Dana")], 132018),
        ([body("Dana"), {"type": "carousel", "cards": []}], None),
        ([body("Dana"), {"type": "limited_time_offer"}], 132012),
        ([{"type": "body", "parameters": ["Dana"]}], 132012),
    ],
)
def test_components_that_make_no_sense_are_refused(components: Any, expected: int | None) -> None:
    assert code(components) == expected


@pytest.mark.parametrize(
    "components",
    [
        [],
        [{"text": "no type"}],
        [{"type": "BODY", "text": "{{1}} and {{3}}"}],
        [{"type": "BODY", "text": ""}, {"type": "HEADER", "format": "HOLOGRAM"}],
    ],
)
def test_a_template_that_cannot_be_read_says_so(components: list[dict[str, Any]]) -> None:
    with pytest.raises(ValueError, match=r"template|type|positional|HOLOGRAM"):
        read_form(components, named=False)


def test_the_shipped_world_can_be_read_and_has_a_banned_number() -> None:
    world, behaviour = load_world(SHIPPED)
    assert [number.status.value for number in world.numbers.values()].count("BANNED") == 1
    assert len(world.numbers) == 6
    assert {t.status for t in world.templates.values()} == {"APPROVED", "PAUSED", "PENDING"}
    assert behaviour.latency.ms > 0
