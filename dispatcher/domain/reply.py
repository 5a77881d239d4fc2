"""Replies: free-form content, allowed only while a person's service window is open.

The kinds, and the limits Meta sets on each; file sizes are not checked here, since nothing is fetched.
Whether the window is open is ``window.py``'s affair, the wire format ``channel/``'s.
Source: Meta, pages of the message types, read 2026-09.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from dispatcher.domain.content import Problem, problem_with_media

TEXT_CHARS_MAX = 4096
CAPTION_CHARS_MAX = 1024


class MediaKind(StrEnum):
    """What a free-form media message shows."""

    IMAGE = "image"
    """JPEG or PNG."""
    VIDEO = "video"
    """MP4 or 3GP, H.264 with AAC."""
    DOCUMENT = "document"
    """Any file."""
    AUDIO = "audio"
    """Sound or a voice note."""
    STICKER = "sticker"
    """WebP."""

    @property
    def bytes_max(self) -> int:
        """The largest file Meta takes (for stickers: an animated one; static ones 100,000)."""
        return _MEDIA_BYTES_MAX[self]


_MEDIA_BYTES_MAX = {
    MediaKind.IMAGE: 5_000_000,
    MediaKind.VIDEO: 16_000_000,
    MediaKind.DOCUMENT: 100_000_000,
    MediaKind.AUDIO: 16_000_000,
    MediaKind.STICKER: 500_000,
}
_WITH_CAPTION = frozenset({MediaKind.IMAGE, MediaKind.VIDEO, MediaKind.DOCUMENT})


@dataclass(frozen=True, slots=True)
class Text:
    """A text of up to 4,096 characters; line breaks are welcome here."""

    body: str
    preview_url: bool = False


@dataclass(frozen=True, slots=True)
class Media:
    """A picture, film, file, sound or sticker."""

    kind: MediaKind
    source: str
    """The id of an upload, or an http(s) link."""
    caption: str | None = None
    filename: str | None = None


@dataclass(frozen=True, slots=True)
class Location:
    """A place on the map, in degrees."""

    latitude: float
    longitude: float
    name: str | None = None
    address: str | None = None


FreeForm: TypeAlias = Text | Media | Location


def problem_with_reply(content: FreeForm) -> Problem | None:
    """Why this cannot be sent as a reply, or None. File sizes are not seen here: nothing is fetched."""
    match content:
        case Text(body=body):
            return _problem_with_text("body", body, TEXT_CHARS_MAX)
        case Media(kind=kind, source=source, caption=caption, filename=filename):
            if problem := problem_with_media(source):
                return Problem("source", problem)
            if caption is not None and kind not in _WITH_CAPTION:
                return Problem("caption", f"{kind} messages have no caption")
            if filename is not None and kind is not MediaKind.DOCUMENT:
                return Problem("filename", f"{kind} messages have no file name")
            return _problem_with_text("caption", caption, CAPTION_CHARS_MAX)
        case Location(latitude=latitude, longitude=longitude):
            if not -90 <= latitude <= 90:
                return Problem("latitude", "is not between -90 and 90 degrees")
            if not -180 <= longitude <= 180:
                return Problem("longitude", "is not between -180 and 180 degrees")
            return None


def _problem_with_text(field: str, text: str | None, chars_max: int) -> Problem | None:
    if text is None:
        return None
    if not text or text.isspace():
        return Problem(field, "is empty")
    if len(text) > chars_max:
        return Problem(field, f"has {len(text)} characters, {chars_max} are allowed")
    return None
