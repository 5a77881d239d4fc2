"""What the options of `dispatch reply` say together, and how a reply is told in one line."""

from __future__ import annotations

from typing import Any

import pytest

from dispatcher.channel.reply_payloads import content_of
from dispatcher.cli.reply_content import content_text, read_content
from dispatcher.domain.contact import Contact, Contacts
from dispatcher.domain.errors import BadValue
from dispatcher.domain.interactive import Button, Buttons, Choices, Link, Row, Section
from dispatcher.domain.reply import FreeForm, Location, Media, MediaKind, Reaction, Text

NOTHING: dict[str, Any] = {
    "text": None, "preview": False, "media": {}, "caption": None, "filename": None, "buttons": (), "rows": (),
    "label": None, "link": None, "location": None, "name": None, "address": None, "contacts": (), "react": None,
    "answer": None,
}  # fmt: skip


def read(**options: Any) -> FreeForm:
    return read_content(**{**NOTHING, **options})


@pytest.mark.parametrize(
    ("options", "content", "line"),
    [
        ({"text": "On its\nway."}, Text("On its\nway."), "On its way."),
        ({"text": "x" * 70}, Text("x" * 70), "x" * 59 + "…"),
        (
            {"media": {"image": "9001", "video": None}, "caption": "Look"},
            Media(MediaKind.IMAGE, "9001", "Look"),
            "[image] Look",
        ),
        ({"media": {"sticker": "9001"}}, Media(MediaKind.STICKER, "9001"), "[sticker]"),
        ({"location": "52.5, 13.4", "name": "Berlin"}, Location(52.5, 13.4, "Berlin"), "[location]"),
        (
            {"contacts": ["Ana Lima=+12025550177"]},
            Contacts([Contact("Ana Lima", "Ana", ["+12025550177"])]),
            "[contacts]",
        ),
        ({"react": "👍", "answer": "wamid.x"}, Reaction("wamid.x", "👍"), "[reaction] 👍"),
        ({"react": "", "answer": "wamid.x"}, Reaction("wamid.x", ""), "[reaction taken away]"),
        (
            {"text": "When?", "buttons": ["am=Morning", "pm=After = noon"]},
            Buttons("When?", [Button("am", "Morning"), Button("pm", "After = noon")]),
            "[button] When?",
        ),
        (
            {"text": "Where?", "label": "Branches", "rows": ["b1=Harbour=Late", "b2=Quay"]},
            Choices("Where?", "Branches", [Section([Row("b1", "Harbour", "Late"), Row("b2", "Quay")])]),
            "[list] Where?",
        ),
        (
            {"text": "Track it", "label": "Track", "link": "https://shop.example/t?a=1"},
            Link("Track it", "Track", "https://shop.example/t?a=1"),
            "[cta_url] Track it",
        ),
    ],
)
def test_options_become_content(options: dict[str, Any], content: FreeForm, line: str) -> None:
    assert read(**options) == content
    assert content_text(content_of(content)) == line


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"text": "Hello", "media": {"image": "9001"}},
        {"media": {"image": "9001", "video": "9002"}},
        {"media": {"image": "9001"}, "buttons": ["am=Morning"]},
        {"text": "When?", "buttons": ["Morning"]},
        {"text": "Where?", "rows": ["b1=Harbour"]},
        {"text": "Both", "label": "L", "rows": ["b1=Harbour"], "buttons": ["am=Morning"]},
        {"location": "Berlin"},
        {"location": "1,2,3"},
        {"react": "👍"},
    ],
)
def test_options_that_say_nothing_or_two_things_are_wrong(options: dict[str, Any]) -> None:
    with pytest.raises(BadValue):
        read(**options)
