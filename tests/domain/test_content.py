"""Mappings: which source fills which slot, what is wrong with one, and what a value may hold."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.domain.content import (
    Column,
    Literal,
    Problem,
    SlotMapping,
    check_mapping,
    complete_mapping,
    parse_assignment,
    parse_mapping,
    problem_with,
)
from dispatcher.domain.template import Slot, SlotKind, Template, parse_template


def a_template(*components: dict[str, Any], category: str = "MARKETING") -> Template:
    return parse_template(
        {
            "name": "offer",
            "language": "en_US",
            "status": "APPROVED",
            "category": category,
            "components": list(components),
        }
    )


BODY = {"type": "BODY", "text": "Hi {{first_name}}, take {{discount}} off."}
IMAGE = {"type": "HEADER", "format": "IMAGE"}
URL = {"type": "BUTTONS", "buttons": [{"type": "URL", "url": "https://shop.example/{{1}}"}]}


def mapped(*texts: str) -> SlotMapping:
    mapping = parse_mapping(texts)
    assert isinstance(mapping, SlotMapping), mapping
    return mapping


@pytest.mark.parametrize(
    ("text", "slot", "source"),
    [
        ("body.1=first_name", "body.1", Column("first_name")),
        (" body.1 = first name ", "body.1", Column("first name")),
        ("body.1='first_name'", "body.1", Literal("first_name")),
        ('body.1="it\'s"', "body.1", Literal("it's")),
        ("header.image=https://x.example/?a=b", "header.image", Column("https://x.example/?a=b")),
        ("body.1=' '", "body.1", Literal(" ")),
        ("body.1='", "body.1", Column("'")),
    ],
)
def test_an_assignment_names_a_column_or_quotes_a_text(
    text: str, slot: str, source: Column | Literal
) -> None:
    assert parse_assignment(text) == (slot, source)


@pytest.mark.parametrize("text", ["", "body.1", "=x", "body.1=", " = "])
def test_an_assignment_that_cannot_be_read_says_how_to_write_one(text: str) -> None:
    assert isinstance(parse_assignment(text), Problem)
    assert parse_mapping(["body.1=a", text]) == [parse_assignment(text)]


sources = st.one_of(st.builds(Column, st.text()), st.builds(Literal, st.text()))
mappings = st.builds(lambda pairs: SlotMapping(tuple(pairs)), st.lists(st.tuples(st.text(), sources)))


@given(mappings)
def test_a_mapping_survives_the_ledger(mapping: SlotMapping) -> None:
    assert SlotMapping.from_json(mapping.to_json()) == mapping


def test_columns_come_once_in_order_of_first_use() -> None:
    assert mapped("body.b=y", "body.a=x", "button.0.url=y", "body.c='z'").columns == ("y", "x")


def test_a_column_of_the_slots_name_fills_it() -> None:
    template = a_template(IMAGE, BODY, URL)
    columns = ["phone", "image", "first_name", "body.discount", "discount", "button.0.url"]
    assert complete_mapping(template, columns) == mapped(
        "header.image=image",
        "body.first_name=first_name",
        "body.discount=body.discount",
        "button.0.url=button.0.url",
    )


def test_positions_take_columns_that_are_numbers() -> None:
    template = a_template(
        {"type": "HEADER", "format": "TEXT", "text": "{{1}}"}, {"type": "BODY", "text": "{{1}}{{2}}"}
    )
    assert complete_mapping(template, ["1", "body.2"]) == mapped("body.1=1", "body.2=body.2")


def test_what_is_given_is_kept_and_the_rest_filled() -> None:
    template = a_template(BODY)
    given_mapping = mapped("body.discount='20%'")
    assert complete_mapping(template, ["first_name", "discount"], given_mapping) == mapped(
        "body.discount='20%'", "body.first_name=first_name"
    )


def test_the_button_of_a_one_time_code_takes_the_code_of_the_body() -> None:
    template = a_template(
        {"type": "BODY", "text": "{{1}} is your code"},
        {"type": "BUTTONS", "buttons": [{"type": "OTP"}]},
        category="AUTHENTICATION",
    )
    assert complete_mapping(template, ["code"], mapped("body.1=code")) == mapped(
        "body.1=code", "button.0.code=code"
    )


def test_a_complete_mapping_has_no_problems() -> None:
    mapping = mapped("body.first_name=name", "body.discount='20%'")
    assert check_mapping(a_template(BODY), mapping, ["name"]) == []


@pytest.mark.parametrize(
    ("assignments", "field", "words"),
    [
        (["body.first_name=name"], "body.discount", "required"),
        (["body.first_nam=name"], "body.first_nam", "did you mean body.first_name"),
        (["body.first_name=name_"], "body.first_name", "did you mean name"),
        (["body.first_name=zzzzzz"], "body.first_name", "there are name, town"),
        (["body.first_name=name", "body.first_name=town"], "body.first_name", "twice"),
        (["body.first_name='a\tb'"], "body.first_name", "tab"),
    ],
)
def test_a_problem_names_the_slot_and_what_to_do(assignments: list[str], field: str, words: str) -> None:
    problems = check_mapping(a_template(BODY), mapped(*assignments), ["town", "name"])
    assert any(problem.field == field and words in problem.text for problem in problems), problems


def test_optional_slots_may_stay_open() -> None:
    template = a_template({"type": "BUTTONS", "buttons": [{"type": "QUICK_REPLY"}]})
    assert check_mapping(template, SlotMapping(), []) == []


def a_slot(kind: SlotKind = SlotKind.TEXT, max_chars: int | None = 20) -> Slot:
    return Slot("body.1", kind, required=True, max_chars=max_chars)


@pytest.mark.parametrize(
    ("value", "word"),
    [
        ("", "empty"),
        (" \u00a0", "empty"),
        ("a\nb", "line break"),
        ("a\rb", "line break"),
        ("a\tb", "tab"),
        ("a     b", "four spaces"),
        ("a\0b", "no text"),
        ("a\ud83d", "no text"),
        ("a" * 21, "21 characters"),
    ],
)
def test_a_text_that_meta_would_refuse_is_refused_here(value: str, word: str) -> None:
    problem = problem_with(a_slot(), value)
    assert problem is not None
    assert word in problem


@pytest.mark.parametrize("value", ["Dana", "a    b", "Ødegård", "小明", "👩‍👩‍👧", "مریم", "a" * 20, "20%"])
def test_an_ordinary_text_is_fine(value: str) -> None:
    assert problem_with(a_slot(), value) is None


@pytest.mark.parametrize(
    ("kind", "value", "fine"),
    [
        (SlotKind.IMAGE, "900000000000001", True),
        (SlotKind.IMAGE, "https://cdn.example/a.png?v=2", True),
        (SlotKind.IMAGE, "HTTP://cdn.example/a.png", True),
        (SlotKind.IMAGE, "ftp://cdn.example/a.png", False),
        (SlotKind.IMAGE, "javascript:alert(1)", False),
        (SlotKind.IMAGE, "https://cdn.example/a b.png", False),
        (SlotKind.IMAGE, "https://", False),
        (SlotKind.IMAGE, "a.png", False),
        (SlotKind.LATITUDE, "52.52", True),
        (SlotKind.LATITUDE, "-90", True),
        (SlotKind.LATITUDE, "90.1", False),
        (SlotKind.LATITUDE, "52,52", False),
        (SlotKind.LATITUDE, "nan", False),
        (SlotKind.LONGITUDE, "179.9", True),
        (SlotKind.LONGITUDE, "181", False),
        (SlotKind.EXPIRATION, "1796000000000", True),
        (SlotKind.EXPIRATION, "1796000000", False),
        (SlotKind.EXPIRATION, "tomorrow", False),
        (SlotKind.EXPIRATION, "9" * 5000, False),
    ],
)
def test_each_kind_has_its_own_rule(kind: SlotKind, value: str, fine: bool) -> None:
    assert (problem_with(a_slot(kind, max_chars=None), value) is None) is fine


@given(st.sampled_from(SlotKind), st.text())
def test_any_value_is_judged(kind: SlotKind, value: str) -> None:
    problem = problem_with(a_slot(kind), value)
    assert problem is None or problem
