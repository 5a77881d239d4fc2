"""Checks the shape of a free-form message: what may be written inside a service window.

Only shape and lengths; whether a window is open is for `judge`, what is pressed for `interactive`.

Source: Meta, "Send messages" and the page of each message type, read 2026-09.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .interactive import check_interactive
from .reading import Bad, Json, check_link, member, text_of
from .refusals import Refusal

_TEXT_CHARS = 4096
_CAPTION_CHARS = 1024
_CAPTIONED = frozenset({"image", "video", "document"})
_MEDIA = _CAPTIONED | {"audio", "sticker"}


def check_freeform(kind: object, message: Mapping[str, Any]) -> Refusal | None:
    """None, or why this content is refused: 131051 for its type, 131008 and 131009 for what is in it."""
    try:
        _check(kind, message)
    except Bad as bad:
        return bad.refusal
    return None


def check_mark(message: Mapping[str, Any]) -> Refusal | None:
    """None, or why a message cannot be marked as read like this."""
    try:
        text_of(message, "message", "message_id", 512)
        _check_typing(message.get("typing_indicator", {"type": "text"}))
    except Bad as bad:
        return bad.refusal
    return None


def _check(kind: object, message: Mapping[str, Any]) -> None:
    if not isinstance(kind, str) or (kind not in _MEDIA and kind not in _CHECKS):
        raise Bad(131051, f"Message type {kind!r} is not supported.")
    if "context" in message:
        text_of(member(message, "message", "context", dict), "context", "message_id", 512)
    content = member(message, "message", kind, list if kind == "contacts" else dict)
    if kind in _MEDIA:
        _check_media(kind, content)
    else:
        _CHECKS[kind](content)


def _check_typing(typing: object) -> None:
    if not isinstance(typing, dict) or typing.get("type") != "text":
        raise Bad(131009, "Param typing_indicator['type'] must be 'text'.")


def _check_text(content: Json) -> None:
    text_of(content, "text", "body", _TEXT_CHARS)
    if not isinstance(content.get("preview_url", False), bool):
        raise Bad(131009, "Param text['preview_url'] must be a boolean.")


def _check_media(kind: str, content: Json) -> None:
    if not content.get("id") and not content.get("link"):
        raise Bad(131008, f"{kind} needs an id or a link.")
    if not content.get("id"):
        check_link(content["link"], f"{kind}['link']")
    if "caption" in content:
        if kind not in _CAPTIONED:
            raise Bad(131009, f"Param {kind}['caption'] is not allowed.")
        text_of(content, kind, "caption", _CAPTION_CHARS)


def _check_location(content: Json) -> None:
    for name, most in (("latitude", 90), ("longitude", 180)):
        if name not in content:
            raise Bad(131008, f"location[{name!r}] is required.")
        degrees = content[name]
        if isinstance(degrees, bool) or not isinstance(degrees, int | float) or not abs(degrees) <= most:
            raise Bad(131009, f"Param location[{name!r}] must be between -{most} and {most}.")


def _check_reaction(content: Json) -> None:
    text_of(content, "reaction", "message_id", 512)
    member(content, "reaction", "emoji", str)  # an empty one takes the reaction away


def _check_contacts(content: Sequence[object]) -> None:
    if not content:
        raise Bad(131008, "Parameter 'contacts' is missing.")
    for card in content:
        text_of(member(card, "contact", "name", dict), "name", "formatted_name", 1000)


_CHECKS: Mapping[str, Callable[[Any], None]] = {
    "text": _check_text,
    "location": _check_location,
    "reaction": _check_reaction,
    "contacts": _check_contacts,
    "interactive": check_interactive,
}
