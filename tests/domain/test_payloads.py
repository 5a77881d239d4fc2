"""Payloads: Meta's own examples come out, and whatever is accepted arrives exactly."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.channel.payloads import CompiledTemplate, Problem, compile_template
from dispatcher.domain.content import SlotMapping, parse_mapping
from dispatcher.domain.template import Template, parse_template

TO = "+12025550143"
TOKEN = "cmp:42:rcp:977"


def a_template(
    *components: dict[str, Any], name: str = "autumn_offer", category: str = "MARKETING", **fields: Any
) -> Template:
    return parse_template(
        {
            "name": name,
            "language": "en_US",
            "status": "APPROVED",
            "category": category,
            "components": list(components),
            **fields,
        }
    )


def a_body(text: str) -> dict[str, Any]:
    return {"type": "BODY", "text": text}


def a_header(header_format: str, text: str = "") -> dict[str, Any]:
    return {"type": "HEADER", "format": header_format, "text": text}


def buttons(*items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "BUTTONS", "buttons": list(items)}


QUICK_REPLY = {"type": "QUICK_REPLY", "text": "Stop"}
URL = {"type": "URL", "text": "Shop", "url": "https://shop.example/{{1}}"}


def compiled(template: Template, *assignments: str) -> CompiledTemplate:
    mapping = parse_mapping(assignments)
    assert isinstance(mapping, SlotMapping), mapping
    return compile_template(template, mapping)


def posted(body: CompiledTemplate, *values: str) -> dict[str, Any]:
    rendered = body.render(TO, values, TOKEN)
    assert isinstance(rendered, bytes), rendered
    message: dict[str, Any] = json.loads(rendered)
    return message


def components(body: CompiledTemplate, *values: str) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = posted(body, *values)["template"]["components"]
    return parts


def refused(body: CompiledTemplate, values: Sequence[str]) -> Problem:
    refusal = body.render(TO, values, TOKEN)
    assert isinstance(refusal, Problem), refusal
    return refusal


def test_the_envelope_is_metas_example() -> None:
    body = compiled(
        a_template(a_header("IMAGE"), a_body("Hi {{1}}, take {{2}} off."), buttons(QUICK_REPLY, URL)),
        "header.image='900000000000001'",
        "body.1=first_name",
        "body.2='20%'",
        "button.0.payload='STOP:cmp42'",
        "button.1.url=code",
    )
    assert body.columns == ("first_name", "code")
    assert posted(body, "Dana", "cmp42-r977") == json.loads("""
        {"messaging_product":"whatsapp","recipient_type":"individual","to":"+12025550143","type":"template",
         "biz_opaque_callback_data":"cmp:42:rcp:977",
         "template":{
          "name":"autumn_offer",
          "language":{"code":"en_US"},
          "components":[
           {"type":"header","parameters":[{"type":"image","image":{"id":"900000000000001"}}]},
           {"type":"body","parameters":[
              {"type":"text","text":"Dana"},
              {"type":"text","text":"20%"}]},
           {"type":"button","sub_type":"quick_reply","index":"0",
            "parameters":[{"type":"payload","payload":"STOP:cmp42"}]},
           {"type":"button","sub_type":"url","index":"1","parameters":[{"type":"text","text":"cmp42-r977"}]}
          ]}}""")


def test_a_one_time_code_is_metas_example() -> None:
    template = a_template(
        a_body("*{{1}}* is your code."),
        buttons({"type": "OTP"}),
        name="login_code",
        category="AUTHENTICATION",
    )
    assert posted(compiled(template, "body.1=code", "button.0.code=code"), "481516")[
        "template"
    ] == json.loads("""
        {"name":"login_code","language":{"code":"en_US"},"components":[
          {"type":"body","parameters":[{"type":"text","text":"481516"}]},
          {"type":"button","sub_type":"url","index":"0","parameters":[{"type":"text","text":"481516"}]}]}""")


def test_a_carousel_is_metas_example() -> None:
    card = {"components": [a_header("IMAGE"), a_body("Save {{1}}"), buttons(QUICK_REPLY, URL)]}
    template = a_template(
        a_body("Hi {{1}}"), {"type": "CAROUSEL", "cards": [card, card]}, name="winter_cards"
    )
    body = compiled(
        template,
        "body.1=name",
        "card.0.header.image='900000000000011'",
        "card.0.body.1=first",
        "card.0.button.0.payload='card0-more'",
        "card.0.button.1.url='card0'",
        "card.1.header.image=image",
        "card.1.body.1='15%'",
        "card.1.button.0.payload='card1-more'",
        "card.1.button.1.url='card1'",
    )
    assert body.columns == ("name", "first", "image")
    assert (
        posted(body, "Dana", "10%", "900000000000012")["template"]
        == json.loads("""
        {"name":"winter_cards","language":{"code":"en_US"},"components":[
          {"type":"body","parameters":[{"type":"text","text":"Dana"}]},
          {"type":"carousel","cards":[
            {"card_index":0,"components":[
              {"type":"header","parameters":[{"type":"image","image":{"id":"900000000000011"}}]},
              {"type":"body","parameters":[{"type":"text","text":"10%"}]},
              {"type":"button","sub_type":"quick_reply","index":"0",
               "parameters":[{"type":"payload","payload":"card0-more"}]},
              {"type":"button","sub_type":"url","index":"1","parameters":[{"type":"text","text":"card0"}]}]},
            {"card_index":1,"components":[
              {"type":"header","parameters":[{"type":"image","image":{"id":"900000000000012"}}]},
              {"type":"body","parameters":[{"type":"text","text":"15%"}]},
              {"type":"button","sub_type":"quick_reply","index":"0",
               "parameters":[{"type":"payload","payload":"card1-more"}]},
              {"type":"button","sub_type":"url","index":"1","parameters":[{"type":"text","text":"card1"}]}]}]}]}""")
    )


@pytest.mark.parametrize("source", ["ends", "'1796000000000'"])
def test_an_offer_carries_its_end_as_a_number(source: str) -> None:
    template = a_template(
        {"type": "LIMITED_TIME_OFFER", "limited_time_offer": {"text": "Soon", "has_expiration": True}},
        a_body("Take it"),
        buttons({"type": "COPY_CODE"}, URL),
    )
    body = compiled(template, f"lto.expiration={source}", "button.0.code='AUT20'", "button.1.url='x'")
    assert components(body, *(["1796000000000"] if body.columns else [])) == [
        {
            "type": "limited_time_offer",
            "parameters": [
                {"type": "limited_time_offer", "limited_time_offer": {"expiration_time_ms": 1796000000000}}
            ],
        },
        {
            "type": "button",
            "sub_type": "copy_code",
            "index": "0",
            "parameters": [{"type": "coupon_code", "coupon_code": "AUT20"}],
        },
        {"type": "button", "sub_type": "url", "index": "1", "parameters": [{"type": "text", "text": "x"}]},
    ]


def test_named_parameters_bear_their_names() -> None:
    template = a_template(
        a_header("TEXT", "For {{city}}"), a_body("Hi {{first_name}}, {{discount}}"), parameter_format="NAMED"
    )
    body = compiled(template, "body.discount='20%'", "body.first_name=name", "header.city=town")
    assert body.columns == ("name", "town")
    assert components(body, "Dana", "Oslo") == [
        {"type": "header", "parameters": [{"type": "text", "parameter_name": "city", "text": "Oslo"}]},
        {
            "type": "body",
            "parameters": [
                {"type": "text", "parameter_name": "first_name", "text": "Dana"},
                {"type": "text", "parameter_name": "discount", "text": "20%"},
            ],
        },
    ]


@pytest.mark.parametrize("kind", ["image", "video", "document"])
@pytest.mark.parametrize(("value", "key"), [("900000000000001", "id"), ("https://cdn.example/a?b=c", "link")])
@pytest.mark.parametrize("is_literal", [True, False])
def test_media_goes_by_id_or_by_link(kind: str, value: str, key: str, is_literal: bool) -> None:
    template = a_template(a_header(kind.upper()))
    source = f"'{value}'" if is_literal else "media"
    body = compiled(template, f"header.{kind}={source}")
    values = () if is_literal else (value,)
    assert components(body, *values) == [
        {"type": "header", "parameters": [{"type": kind, kind: {key: value}}]}
    ]


def test_a_document_may_bear_a_name_per_person() -> None:
    body = compiled(a_template(a_header("DOCUMENT")), "header.document=bill", "header.filename=name")
    assert components(body, "https://cdn.example/7.pdf", "bill 7.pdf") == [
        {
            "type": "header",
            "parameters": [
                {
                    "type": "document",
                    "document": {"link": "https://cdn.example/7.pdf", "filename": "bill 7.pdf"},
                }
            ],
        }
    ]


def test_a_place_is_filled_from_its_four_parts() -> None:
    body = compiled(
        a_template(a_header("LOCATION")),
        *(f"header.location.{part}={part}" for part in ("latitude", "longitude", "name", "address")),
    )
    [header] = components(body, "52.52", "13.405", "Berlin", "Alexanderplatz 1")
    assert header["parameters"] == [
        {
            "type": "location",
            "location": {
                "latitude": "52.52",
                "longitude": "13.405",
                "name": "Berlin",
                "address": "Alexanderplatz 1",
            },
        }
    ]


@pytest.mark.parametrize(
    ("button", "slot", "sub_type", "parameter"),
    [
        ({"type": "FLOW"}, "flow_token", "flow", {"type": "action", "action": {"flow_token": "v"}}),
        (
            {"type": "CATALOG"},
            "product",
            "catalog",
            {"type": "action", "action": {"thumbnail_product_retailer_id": "v"}},
        ),
    ],
)
def test_action_buttons_carry_an_action(
    button: dict[str, Any], slot: str, sub_type: str, parameter: dict[str, Any]
) -> None:
    body = compiled(a_template(buttons(button)), f"button.0.{slot}=x")
    assert components(body, "v") == [
        {"type": "button", "sub_type": sub_type, "index": "0", "parameters": [parameter]}
    ]


def test_a_template_without_parameters_has_no_components() -> None:
    body = compiled(a_template(a_body("Hello"), buttons(QUICK_REPLY)))
    assert posted(body)["template"] == {"name": "autumn_offer", "language": {"code": "en_US"}}


def test_one_column_may_fill_several_slots() -> None:
    body = compiled(a_template(a_body("Hi {{1}} {{2}}")), "body.1=name", "body.2=name")
    assert body.columns == ("name",)
    assert components(body, "Dana")[0]["parameters"] == [{"type": "text", "text": "Dana"}] * 2


@pytest.mark.parametrize("value", ["", " ", "a\nb", "a\tb", "a     b", "a" * 1025, "\ud800"])
def test_a_bad_value_costs_no_request_and_names_its_slot(value: str) -> None:
    body = compiled(a_template(a_body("Hi {{1}}, {{2}}")), "body.1=name", "body.2=offer")
    refusal = refused(body, ["Dana", value])
    assert refusal.field == "body.2"
    assert refusal.text


def test_a_body_may_fill_its_length_and_not_a_character_more() -> None:
    body = compiled(a_template(a_body("Hi {{1}}, {{2}} {{1}}")), "body.1=name", "body.2='20%'")
    constant = len("Hi , 20% ")
    fits = (1024 - constant) // 2
    assert components(body, "a" * fits)
    assert refused(body, ["a" * (fits + 1)]) == Problem("body", refused(body, ["a" * (fits + 1)]).text)


def test_a_long_body_counts_all_its_values() -> None:
    body = compiled(a_template(a_body("{{1}}{{2}}")), "body.1=a", "body.2=b")
    assert posted(body, "a" * 512, "b" * 512)
    assert refused(body, ["a" * 512, "b" * 513]).field == "body"


def test_literals_that_do_not_fit_are_found_when_compiling() -> None:
    template = a_template(a_body("{{1}}{{2}}"))
    with pytest.raises(ValueError, match="too many"):
        compiled(template, f"body.1='{'a' * 600}'", f"body.2='{'b' * 600}'")
    with pytest.raises(ValueError, match="line break"):
        compiled(template, "body.1='a\nb'", "body.2=b")


def test_a_mapping_that_does_not_fit_is_not_compiled() -> None:
    with pytest.raises(ValueError, match=r"body\.2: is required"):
        compiled(a_template(a_body("{{1}}{{2}}")), "body.1=a")
    with pytest.raises(ValueError, match="HOLOGRAM"):
        compiled(a_template({"type": "HOLOGRAM"}))


def test_our_own_mistakes_are_raised() -> None:
    body = compiled(a_template(a_body("Hi {{1}}")), "body.1=name")
    with pytest.raises(ValueError, match="expected 1 values, got 2"):
        body.render(TO, ["Dana", "Dana"], TOKEN)
    with pytest.raises(ValueError, match="512"):
        body.render(TO, ["Dana"], "a" * 513)


CARD = {"components": [a_header("IMAGE"), a_body("{{1}}"), buttons(QUICK_REPLY)]}
RICH = compiled(
    a_template(
        a_header("TEXT", "{{1}}"),
        a_body("Hi {{1}}, {{2}} and {{1}}"),
        buttons(QUICK_REPLY, URL),
        {"type": "CAROUSEL", "cards": [CARD, CARD]},
    ),
    "header.1=a",
    "body.1=b",
    r"""body.2='\u00000 {{1}} "\u0000":0'""",
    "button.0.payload=c",
    "button.1.url=a",
    "card.0.header.image=image",
    "card.0.body.1=b",
    "card.0.button.0.payload=d",
    "card.1.header.image='1'",
    "card.1.body.1=d",
)
values = st.one_of(st.text(), st.text('"\\\u0000{}01: \u2028😀', max_size=20))
media = st.one_of(st.integers(0).map(str), values.map("https://cdn.example/{}".format))


@given(st.tuples(values, values, values, values, media), st.text(st.characters(codec="utf-8"), max_size=512))
def test_whatever_is_accepted_arrives_exactly(five: tuple[str, str, str, str, str], token: str) -> None:
    a, b, c, d, image = five
    by_name = {"a": a, "b": b, "c": c, "d": d, "image": image}
    rendered = RICH.render(TO, [by_name[name] for name in RICH.columns], token)
    if isinstance(rendered, Problem):
        assert rendered.field
        return
    message = json.loads(rendered)
    assert (message["to"], message["biz_opaque_callback_data"]) == (TO, token)
    header, body, quick_reply, url, carousel = message["template"]["components"]
    first, second = carousel["cards"]
    assert header["parameters"][0]["text"] == a
    assert [p["text"] for p in body["parameters"]] == [b, r"""\u00000 {{1}} "\u0000":0"""]
    assert quick_reply["parameters"][0]["payload"] == c
    assert url["parameters"][0]["text"] == a
    assert list(first["components"][0]["parameters"][0]["image"].values()) == [image]
    assert [
        part["parameters"][0].get("text", part["parameters"][0].get("payload"))
        for part in first["components"][1:]
    ] == [b, d]
    assert second["components"][0]["parameters"][0]["image"] == {"id": "1"}
    assert second["components"][1]["parameters"][0]["text"] == d
