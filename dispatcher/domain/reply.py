"""Replies: free-form content, allowed only while a person's service window is open.

The kinds, and the limits Meta sets on each; file sizes are not checked here, since nothing is fetched.
What people press is in ``interactive.py``, cards of contacts in ``contact.py``. Whether the window is open is the
ledger's affair, the wire format ``channel/``'s.
Source: Meta, pages of the message types, read 2026-09.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias

from dispatcher.domain.contact import Contacts, problem_with_contacts
from dispatcher.domain.content import Problem, problem_with_media, problem_with_text
from dispatcher.domain.interactive import Interactive, problem_with_interactive

TEXT_CHARS_MAX = 4096
CAPTION_CHARS_MAX = 1024
WAMID_CHARS_MAX = 512
"""Ours: Meta names no length for its ids, and none that was seen comes near."""
EMOJI_CHARS_MAX = 32
"""Ours: one emoji, with all its joiners and skin tones, is shorter."""
PLACE_CHARS_MAX = 1000
"""Ours, for a place's name and its address."""


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
    is_voice: bool = False
    """Whether a sound is shown as a voice message."""


@dataclass(frozen=True, slots=True)
class Location:
    """A place on the map, in degrees."""

    latitude: float
    longitude: float
    name: str | None = None
    address: str | None = None


@dataclass(frozen=True, slots=True)
class Reaction:
    """An emoji on a message of the person, or the removal of the one that was there."""

    wamid: str
    """The message that is reacted to."""
    emoji: str
    """Empty: take the reaction away."""


@dataclass(frozen=True, slots=True)
class AsWritten:
    """Content that the house has no words of its own for, as whoever knows Meta's has written it: Meta judges its form."""

    type: str
    """Meta's: interactive or contacts."""
    content: Mapping[str, Any] | Sequence[Any]


FreeForm: TypeAlias = Text | Media | Location | Reaction | Contacts | Interactive | AsWritten


def problem_with_reply(content: FreeForm, *, context_wamid: str | None = None) -> Problem | None:
    """Why this cannot be sent as a reply, or None. File sizes are not seen here: nothing is fetched.

    context_wamid: the message that it answers, if it answers one.
    """
    return _problem_with_context(content, context_wamid) or _problem_with_content(content)


def _problem_with_context(content: FreeForm, wamid: str | None) -> Problem | None:
    if wamid is None:
        return None
    if isinstance(content, Reaction):
        return Problem("context", "a reaction names its message itself and answers no other")
    return problem_with_text("context", wamid, WAMID_CHARS_MAX)


def _problem_with_content(content: FreeForm) -> Problem | None:
    match content:
        case Text(body=body):
            return problem_with_text("body", body, TEXT_CHARS_MAX)
        case Media(kind=kind, source=source, caption=caption, filename=filename):
            if problem := problem_with_media(source):
                return Problem("source", problem)
            if caption is not None and kind not in _WITH_CAPTION:
                return Problem("caption", f"{kind} messages have no caption")
            if filename is not None and kind is not MediaKind.DOCUMENT:
                return Problem("filename", f"{kind} messages have no file name")
            if content.is_voice and kind is not MediaKind.AUDIO:
                return Problem("voice", f"{kind} messages are no voice messages")
            return problem_with_text("caption", caption, CAPTION_CHARS_MAX)
        case Location(latitude=latitude, longitude=longitude):
            if not -90 <= latitude <= 90:
                return Problem("latitude", "is not between -90 and 90 degrees")
            if not -180 <= longitude <= 180:
                return Problem("longitude", "is not between -180 and 180 degrees")
            return problem_with_text("name", content.name, PLACE_CHARS_MAX) or problem_with_text(
                "address", content.address, PLACE_CHARS_MAX
            )
        case Reaction(wamid=wamid, emoji=emoji):
            return problem_with_text("wamid", wamid, WAMID_CHARS_MAX) or problem_with_text(
                "emoji", emoji or None, EMOJI_CHARS_MAX
            )
        case Contacts():
            return problem_with_contacts(content)
        case AsWritten():
            return None
        case _:
            return problem_with_interactive(content)
