"""Checks the shape of an interactive message: buttons, a list, or a button that opens a link.

The other types of interactive messages are checked to their type and action, the parts every one of them needs.

Source: Meta, "Interactive reply buttons messages", "Interactive list messages" and "Interactive call-to-action URL
button messages", read 2026-09.
"""

from collections.abc import Callable, Mapping

from .reading import Bad, Json, check_link, member, text_of

_BODY_CHARS = {"button": 1024, "list": 4096, "cta_url": 1024}
_HEADERS = {"button": {"text", "image", "video", "document"}, "list": {"text"}}
_OTHERS = frozenset(
    {
        "flow", "product", "product_list", "catalog_message", "order_details", "order_status",
        "location_request_message", "address_message", "carousel", "voice_call", "call_permission_request",
        "contact_request",
    }
)  # fmt: skip


def check_interactive(content: Json) -> None:
    """Raises Bad: 131008 for what is missing, 131009 for what is in it."""
    kind: str = member(content, "interactive", "type", str)
    action = member(content, "interactive", "action", dict)
    if kind in _OTHERS:
        return
    if kind not in _CHECKS:
        raise Bad(131009, f"interactive['type'] {kind!r} is not supported.")
    text_of(member(content, "interactive", "body", dict), "body", "text", _BODY_CHARS[kind])
    if "footer" in content:
        text_of(member(content, "interactive", "footer", dict), "footer", "text", 60)
    if "header" in content:
        _check_header(kind, member(content, "interactive", "header", dict))
    _CHECKS[kind](action)


def _check_header(kind: str, header: Json) -> None:
    shown = member(header, "header", "type", str)
    if shown not in _HEADERS.get(kind, {"text", "image", "video", "document"}):
        raise Bad(131009, f"Param header['type'] {shown!r} is not allowed for {kind}.")
    if shown == "text":
        text_of(header, "header", "text", 60)
        return
    media = member(header, "header", shown, dict)
    if not media.get("id") and not media.get("link"):
        raise Bad(131008, f"header[{shown!r}] needs an id or a link.")


def _check_buttons(action: Json) -> None:
    buttons = member(action, "action", "buttons", list)
    if not 1 <= len(buttons) <= 3:
        raise Bad(131009, "Param action['buttons'] must have 1 to 3 buttons.")
    ids = []
    for button in buttons:
        if not isinstance(button, dict) or button.get("type") != "reply":
            raise Bad(131009, "Param action['buttons'] must be reply buttons.")
        reply = member(button, "button", "reply", dict)
        ids.append(text_of(reply, "reply", "id", 256))
        text_of(reply, "reply", "title", 20)
    _check_distinct(ids)


def _check_list(action: Json) -> None:
    text_of(action, "action", "button", 20)
    sections = member(action, "action", "sections", list)
    if not 1 <= len(sections) <= 10:
        raise Bad(131009, "Param action['sections'] must have 1 to 10 sections.")
    ids = []
    for section in sections:
        if len(sections) > 1 or "title" in section:
            text_of(section, "section", "title", 24)
        for row in member(section, "section", "rows", list):
            ids.append(text_of(row, "row", "id", 200))
            text_of(row, "row", "title", 24)
            if "description" in row:
                text_of(row, "row", "description", 72)
    if not 1 <= len(ids) <= 10:
        raise Bad(131009, "Param action['sections'] must have 1 to 10 rows together.")
    _check_distinct(ids)


def _check_cta_url(action: Json) -> None:
    if member(action, "action", "name", str) != "cta_url":
        raise Bad(131009, "Param action['name'] must be 'cta_url'.")
    parameters = member(action, "action", "parameters", dict)
    text_of(parameters, "parameters", "display_text", 20)
    check_link(parameters.get("url"), "parameters['url']")


def _check_distinct(ids: list[str]) -> None:
    if len(set(ids)) < len(ids):
        raise Bad(131009, "Duplicated ids: each choice needs one of its own.")


_CHECKS: Mapping[str, Callable[[Json], None]] = {
    "button": _check_buttons,
    "list": _check_list,
    "cta_url": _check_cta_url,
}
