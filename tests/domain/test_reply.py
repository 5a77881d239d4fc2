"""Replies: free-form content keeps Meta's limits."""

from __future__ import annotations

import pytest

from dispatcher.domain.contact import Contact, Contacts
from dispatcher.domain.interactive import Button, Buttons, Choices, HeaderMedia, Link, Row, Section
from dispatcher.domain.reply import (
    FreeForm,
    Location,
    Media,
    MediaKind,
    Reaction,
    Text,
    problem_with_reply,
)

LINK = "https://cdn.example/a"
WAMID = "wamid.HBgLMTIwMjU1NTAxNDM="
OK = Button("ok", "OK")
ROW = Row("b1", "Harbour", "Open until 20:00")
ANA = Contact("Ana Lima", "Ana", ["+1 202-555-0177"], ["ana@example.org"], "Harbour Ltd")


def rows(n: int) -> list[Row]:
    return [Row(f"r{i}", f"Row {i}") for i in range(n)]


@pytest.mark.parametrize(
    "content",
    [
        Text("Your parcel\nis at the desk."),
        Text("a" * 4096, preview_url=True),
        Media(MediaKind.IMAGE, LINK, caption="Look"),
        Media(MediaKind.DOCUMENT, "900000000000001", caption="Bill", filename="bill.pdf"),
        Media(MediaKind.AUDIO, LINK),
        Media(MediaKind.STICKER, LINK),
        Location(52.52, 13.405, "Berlin", "Alexanderplatz"),
        Reaction(WAMID, "👍🏽"),
        Reaction(WAMID, ""),
        Contacts([ANA]),
        Buttons("Choose", [OK, Button("no", "No" * 10), Button("i" * 256, "Later")], "Delivery", "Thanks"),
        Buttons("a" * 1024, [OK], HeaderMedia("document", LINK)),
        Choices("a" * 4096, "Branches", [Section([ROW])]),
        Choices(
            "Choose", "Branches", [Section(rows(9), "North"), Section([ROW], "South")], "Where", "Thanks"
        ),
        Link("Track your order", "Track", "https://shop.example/t/77"),
    ],
)
def test_what_keeps_the_limits_may_be_sent(content: FreeForm) -> None:
    assert problem_with_reply(content) is None


@pytest.mark.parametrize(
    ("content", "field"),
    [
        (Text(" "), "body"),
        (Text("a\0b"), "body"),
        (Text("\ud83d"), "body"),
        (Text("a" * 4097), "body"),
        (Media(MediaKind.IMAGE, "file:///etc/hosts"), "source"),
        (Media(MediaKind.IMAGE, LINK, caption="a" * 1025), "caption"),
        (Media(MediaKind.IMAGE, LINK, caption=""), "caption"),
        (Media(MediaKind.AUDIO, LINK, caption="Listen"), "caption"),
        (Media(MediaKind.VIDEO, LINK, filename="a.mp4"), "filename"),
        (Location(91, 0), "latitude"),
        (Location(0, float("nan")), "longitude"),
        (Location(0, 0, name=""), "name"),
        (Reaction("", "👍"), "wamid"),
        (Reaction(WAMID, "no emoji but a whole sentence of text"), "emoji"),
        (Contacts([]), "contacts"),
        (Contacts([ANA, Contact("", "Ana")]), "contacts.2.name"),
        (Contacts([Contact("Ana", "Ana", [""])]), "contacts.1.phones.1"),
        (Buttons("Choose", []), "buttons"),
        (Buttons("Choose", [Button(str(n), "Go") for n in range(4)]), "buttons"),
        (Buttons("Choose", [OK, OK]), "buttons"),
        (Buttons("a" * 1025, [OK]), "body"),
        (Buttons("Choose", [Button("ok", "a" * 21)]), "buttons.1.title"),
        (Buttons("Choose", [OK, Button("a" * 257, "Go")]), "buttons.2.id"),
        (Buttons("Choose", [OK], header="a" * 61), "header"),
        (Buttons("Choose", [OK], header=HeaderMedia("audio", LINK)), "header"),
        (Buttons("Choose", [OK], header=HeaderMedia("image", "ftp://a/b")), "header"),
        (Buttons("Choose", [OK], footer="a" * 61), "footer"),
        (Choices("Choose", "Branches", []), "sections"),
        (Choices("Choose", "Branches", [Section(rows(11))]), "sections"),
        (Choices("Choose", "Branches", [Section(rows(6), "A"), Section(rows(5), "B")]), "sections"),
        (Choices("Choose", "Branches", [Section([ROW, ROW])]), "sections"),
        (Choices("Choose", "Branches", [Section([ROW], "A"), Section([])]), "sections.2"),
        (Choices("Choose", "Branches", [Section([ROW], "A"), Section(rows(1))]), "sections.2.title"),
        (Choices("Choose", "Branches", [Section([ROW], "a" * 25)]), "sections.1.title"),
        (Choices("Choose", "Branches", [Section([Row("a" * 201, "A")])]), "sections.1.rows.1.id"),
        (Choices("Choose", "Branches", [Section([Row("a", "a" * 25)])]), "sections.1.rows.1.title"),
        (
            Choices("Choose", "Branches", [Section([Row("a", "A", "a" * 73)])]),
            "sections.1.rows.1.description",
        ),
        (Choices("Choose", "a" * 21, [Section([ROW])]), "label"),
        (Choices("a" * 4097, "Branches", [Section([ROW])]), "body"),
        (Link("Track", "a" * 21, LINK), "label"),
        (Link("Track", "Track", "shop.example"), "url"),
    ],
)
def test_what_breaks_a_limit_names_the_field(content: FreeForm, field: str) -> None:
    problem = problem_with_reply(content)
    assert problem is not None
    assert problem.field == field


def test_a_reaction_answers_no_other_message() -> None:
    assert problem_with_reply(Text("Yes"), context_wamid=WAMID) is None
    problem = problem_with_reply(Reaction(WAMID, "👍"), context_wamid=WAMID)
    assert problem is not None
    assert problem.field == "context"


def test_every_kind_of_media_has_a_largest_size() -> None:
    assert all(kind.bytes_max >= 100_000 for kind in MediaKind)
