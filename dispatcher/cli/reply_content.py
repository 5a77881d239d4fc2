"""From the options of `dispatch reply` to what it says, and from what a reply says to one line of text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dispatcher.domain.contact import Contact, Contacts
from dispatcher.domain.errors import BadValue
from dispatcher.domain.interactive import Button, Buttons, Choices, Link, Row, Section
from dispatcher.domain.reply import FreeForm, Location, Media, MediaKind, Reaction, Text

_SHOWN_CHARS = 60
_ONE_OF = "--text, --image, --video, --audio, --document, --sticker, --location, --contact or --react"


def read_content(
    *,
    text: str | None,
    preview: bool,
    media: Mapping[str, str | None],
    caption: str | None,
    filename: str | None,
    buttons: Sequence[str],
    rows: Sequence[str],
    label: str | None,
    link: str | None,
    location: str | None,
    name: str | None,
    address: str | None,
    contacts: Sequence[str],
    react: str | None,
    answer: str | None,
) -> FreeForm:
    """What the options say together. Raises BadValue unless they say exactly one thing; limits are checked later."""
    sources = [(kind, source) for kind, source in media.items() if source is not None]
    said = [
        text is not None,
        *(True for _ in sources),
        location is not None,
        bool(contacts),
        react is not None,
    ]
    if sum(said) != 1:
        raise BadValue("a reply says one thing; nothing was sent", hint=f"give one of {_ONE_OF}")
    if text is not None:
        return _text(text, preview, buttons, rows, label, link)
    if buttons or rows or link is not None:
        raise BadValue("buttons, lists and links stand below a text; give --text, too")
    if sources:
        kind, source = sources[0]
        return Media(MediaKind(kind), source, caption, filename)
    if location is not None:
        return Location(*_degrees(location), name, address)
    if contacts:
        return Contacts([_card(*_parts(contact, "--contact", 2)) for contact in contacts])
    if answer is None:
        raise BadValue("a reaction belongs to a message; name it with --answer")
    return Reaction(answer, react or "")


def content_text(content: Mapping[str, Any]) -> str:
    """What a reply says, in one short line."""
    kind = str(content.get("type"))
    said = content.get(kind)
    match kind, said:
        case "text", {"body": str(text)}:
            pass
        case "interactive", {"type": form, "body": {"text": words}}:
            text = f"[{form}] {words}"
        case "reaction", {"emoji": emoji}:
            text = f"[reaction] {emoji}" if emoji else "[reaction taken away]"
        case _, {"caption": caption}:
            text = f"[{kind}] {caption}"
        case _:
            text = f"[{kind}]"
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN_CHARS else f"{line[: _SHOWN_CHARS - 1]}…"


def _text(
    text: str,
    preview: bool,
    buttons: Sequence[str],
    rows: Sequence[str],
    label: str | None,
    link: str | None,
) -> FreeForm:
    if sum((bool(buttons), bool(rows), link is not None)) > 1:
        raise BadValue("below a text stand buttons, a list, or a link; give one kind of them")
    if (rows or link is not None) and label is None:
        raise BadValue("name the button with --label")
    if buttons:
        return Buttons(text, [Button(*_parts(button, "--button", 2)) for button in buttons])
    if rows and label is not None:
        return Choices(text, label, [Section([_row(row) for row in rows])])
    if link is not None and label is not None:
        return Link(text, label, link)
    return Text(text, preview_url=preview)


def _row(text: str) -> Row:
    id_, title, *description = _parts(text, "--row", 2 + (text.count("=") > 1))
    return Row(id_, title, *description)


def _card(name: str, number: str) -> Contact:
    return Contact(name, name.partition(" ")[0], [number])


def _parts(text: str, option: str, count: int) -> list[str]:
    parts = [part.strip() for part in text.split("=", count - 1)]
    if len(parts) != count:
        raise BadValue(f"{option} {text!r} has no '='; see `dispatch reply --help`")
    return parts


def _degrees(text: str) -> tuple[float, float]:
    try:
        latitude, longitude = (float(part) for part in text.split(","))
    except ValueError:
        raise BadValue(f"--location {text!r} is not LAT,LON, such as 52.5206,13.4094") from None
    return latitude, longitude
