"""Checks the shape of a free-form message: what may be written inside a service window.

Only shape and lengths; whether a window is open is for `judge`. Interactive messages are checked to their
type and action, the parts every one of them needs.

Source: Meta, "Send messages" and the page of each message type, read 2026-09.
"""

from collections.abc import Mapping
from typing import Any

from .refusals import Refusal

_TEXT_CHARS = 4096
_CAPTION_CHARS = 1024
_MEDIA = frozenset({"image", "video", "audio", "document", "sticker"})
_REQUIRED: Mapping[str, tuple[str, ...]] = {
    "text": ("body",),
    "location": ("latitude", "longitude"),
    "reaction": ("message_id", "emoji"),
    "interactive": ("type", "action"),
}


def check_freeform(kind: object, message: Mapping[str, Any]) -> Refusal | None:
    """None, or why this content is refused: 131051 for its type, 131008 and 131009 for what is in it."""
    if not isinstance(kind, str) or (kind not in _MEDIA and kind not in _REQUIRED and kind != "contacts"):
        return Refusal(131051, f"Message type {kind!r} is not supported.")
    content = message.get(kind)
    if kind == "contacts":
        return (
            None
            if isinstance(content, list) and content
            else Refusal(131008, "Parameter 'contacts' is missing.")
        )
    if not isinstance(content, dict):
        return Refusal(131008, f"Parameter {kind!r} is missing or not an object.")
    if kind in _MEDIA:
        return _check_media(kind, content)
    for key in _REQUIRED[kind]:
        if key not in content:
            return Refusal(131008, f"{kind}[{key!r}] is required.")
    if kind == "text":
        return _check_length("text['body']", content["body"], _TEXT_CHARS)
    return None


def _check_media(kind: str, content: Mapping[str, Any]) -> Refusal | None:
    if not content.get("id") and not content.get("link"):
        return Refusal(131008, f"{kind} needs an id or a link.")
    if "caption" in content:
        return _check_length(f"{kind}['caption']", content["caption"], _CAPTION_CHARS)
    return None


def _check_length(where: str, text: object, max_chars: int) -> Refusal | None:
    if not isinstance(text, str) or not 1 <= len(text) <= max_chars:
        return Refusal(131009, f"Param {where} must be a text of 1 to {max_chars} characters.")
    return None
