"""Reads from a template's components what a message must fill in.

A template arrives in Meta's own format; `read_form` turns it once into slots, so that checking a message
(`parameters`) is a comparison of lengths and kinds and not another look at the definition.

Source: Meta, "Template components" and "Send template messages", limits of each part, read 2026-09.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_VARIABLE = re.compile(r"\{\{\s*(\w+)\s*\}\}")
_MEDIA = frozenset({"IMAGE", "VIDEO", "DOCUMENT", "LOCATION"})

_HEADER_CHARS = 60
_BODY_CHARS = 1024
_OFFER_BODY_CHARS = 600
_CARD_BODY_CHARS = 160
_URL_CHARS = 2000


@dataclass(frozen=True, slots=True)
class TextSlots:
    """A text with variables: their names in order of first use, and the room they have."""

    names: tuple[str, ...]
    times: Mapping[str, int]
    """How often each variable stands in the text."""
    fixed_chars: int
    """Length of the text without its variables."""
    max_chars: int
    """Length the text may have once the variables are filled in."""


@dataclass(frozen=True, slots=True)
class Header:
    """A header: `kind` is TEXT, IMAGE, VIDEO, DOCUMENT or LOCATION; only a text has slots."""

    kind: str
    slots: TextSlots | None = None


@dataclass(frozen=True, slots=True)
class Button:
    """A button by its kind in the template; `suffix_chars` is the room for a URL's variable, None if it has none."""

    kind: str
    suffix_chars: int | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """What the template itself, or one card of a carousel, asks for."""

    header: Header | None
    body: TextSlots
    buttons: tuple[Button, ...]


@dataclass(frozen=True, slots=True)
class TemplateForm:
    """Everything a message of this template must fill in."""

    named: bool
    part: Part
    cards: tuple[Part, ...] = ()
    has_offer: bool = False


def read_form(components: Sequence[Mapping[str, Any]], *, named: bool) -> TemplateForm:
    """The form of a template, from its components. Raises ValueError saying what cannot be read."""
    kinds = {_kind(component): component for component in components}
    if "BODY" not in kinds:
        raise ValueError("a template needs a BODY component")
    has_offer = "LIMITED_TIME_OFFER" in kinds
    cards = kinds.get("CAROUSEL", {}).get("cards", [])
    return TemplateForm(
        named=named,
        part=_read_part(kinds, body_chars=_OFFER_BODY_CHARS if has_offer else _BODY_CHARS, named=named),
        cards=tuple(
            _read_part(
                {_kind(component): component for component in card["components"]},
                body_chars=_CARD_BODY_CHARS,
                named=named,
            )
            for card in cards
        ),
        has_offer=has_offer,
    )


def _read_part(kinds: Mapping[str, Mapping[str, Any]], *, body_chars: int, named: bool) -> Part:
    header = kinds.get("HEADER")
    return Part(
        header=None if header is None else _read_header(header, named=named),
        body=_read_text(str(kinds.get("BODY", {}).get("text", "")), body_chars, named=named),
        buttons=tuple(_read_button(button) for button in kinds.get("BUTTONS", {}).get("buttons", [])),
    )


def _read_header(header: Mapping[str, Any], *, named: bool) -> Header:
    kind = str(header.get("format", "TEXT")).upper()
    if kind == "TEXT":
        return Header(kind, _read_text(str(header.get("text", "")), _HEADER_CHARS, named=named))
    if kind not in _MEDIA:
        raise ValueError(
            f"header format {kind} is not one the sandbox knows: TEXT, {', '.join(sorted(_MEDIA))}"
        )
    return Header(kind)


def _read_button(button: Mapping[str, Any]) -> Button:
    kind = _kind(button)
    url = str(button.get("url", ""))
    if kind == "URL" and _VARIABLE.search(url):
        return Button(kind, _URL_CHARS - len(_VARIABLE.sub("", url)))
    return Button(kind)


def _read_text(text: str, max_chars: int, *, named: bool) -> TextSlots:
    found = _VARIABLE.findall(text)
    names = tuple(dict.fromkeys(found))
    if not named:
        names = tuple(str(place) for place in range(1, len(names) + 1))
        if set(names) != set(found):
            raise ValueError(
                f"positional variables run from {{{{1}}}} without a gap, found {sorted(set(found))}"
            )
    return TextSlots(
        names=names,
        times={name: found.count(name) for name in names},
        fixed_chars=len(_VARIABLE.sub("", text)),
        max_chars=max_chars,
    )


def _kind(component: Mapping[str, Any]) -> str:
    try:
        return str(component["type"]).upper()
    except KeyError:
        raise ValueError(f"a component or button without a type: {dict(component)}") from None
