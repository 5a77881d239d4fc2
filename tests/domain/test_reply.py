"""Replies: free-form content keeps Meta's limits."""

import pytest

from dispatcher.domain.reply import FreeForm, Location, Media, MediaKind, Text, problem_with_reply

LINK = "https://cdn.example/a"


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
    ],
)
def test_what_keeps_the_limits_may_be_sent(content: FreeForm) -> None:
    assert problem_with_reply(content) is None


@pytest.mark.parametrize(
    ("content", "field"),
    [
        (Text(" "), "body"),
        (Text("a" * 4097), "body"),
        (Media(MediaKind.IMAGE, "file:///etc/hosts"), "source"),
        (Media(MediaKind.IMAGE, LINK, caption="a" * 1025), "caption"),
        (Media(MediaKind.IMAGE, LINK, caption=""), "caption"),
        (Media(MediaKind.AUDIO, LINK, caption="Listen"), "caption"),
        (Media(MediaKind.VIDEO, LINK, filename="a.mp4"), "filename"),
        (Location(91, 0), "latitude"),
        (Location(0, float("nan")), "longitude"),
    ],
)
def test_what_breaks_a_limit_names_the_field(content: FreeForm, field: str) -> None:
    problem = problem_with_reply(content)
    assert problem is not None
    assert problem.field == field


def test_every_kind_of_media_has_a_largest_size() -> None:
    assert all(kind.bytes_max >= 100_000 for kind in MediaKind)
