"""Compares the parameters of a template message with what its template asks for.

`check_components` answers None or the refusal Meta would give: 132000 for a wrong count, 132012 for a wrong
kind or name, 132018 for a value or place that does not fit, 131008 for something left out, 131009 for an
impossible value, 132005 for a text too long once filled in.

Source: Meta, "Cloud API error codes" and "Send template messages", read 2026-09. Where Meta's answers vary
(a line break is reported as 100, 132012 or 132018), one is chosen here: senders check before they post.
"""

import re
from collections.abc import Mapping
from typing import Any

from .refusals import Refusal
from .templates import Button, Header, Part, TemplateForm, TextSlots

_FORBIDDEN = re.compile(r"[\n\r\t]| {5}")
_OTP_CHARS = 15
_COUPON_CHARS = 20

_SUB_TYPES = {
    "QUICK_REPLY": "quick_reply",
    "URL": "url",
    "OTP": "url",
    "COPY_CODE": "copy_code",
    "FLOW": "flow",
    "CATALOG": "catalog",
    "MPM": "mpm",
}
"""Which `sub_type` a message uses for a button of the template; other buttons take no parameters."""

_VALUE_KEYS = {"quick_reply": "payload", "url": "text", "copy_code": "coupon_code"}


def check_components(form: TemplateForm, components: object) -> Refusal | None:
    """Compare the `components` of a message (Meta's format, None when left out) with the template's form."""
    if components is None:
        components = []
    sorted_out = _sort_out(components)
    if isinstance(sorted_out, Refusal):
        return sorted_out
    parts, buttons = sorted_out
    refusal = _check_part(form.part, parts, buttons, named=form.named)
    if refusal is None and (form.cards or "carousel" in parts):
        refusal = _check_cards(form, parts.get("carousel", {}).get("cards"))
    if refusal is None and form.has_offer != ("limited_time_offer" in parts):
        refusal = Refusal(132012, "limited_time_offer: does not match the template")
    return refusal


_Parts = dict[str, Mapping[str, Any]]
_Buttons = dict[int, Mapping[str, Any]]


def _sort_out(components: object) -> tuple[_Parts, _Buttons] | Refusal:
    """Header, body and the like by type; buttons by index."""
    if not isinstance(components, list):
        return Refusal(100, "Param template['components'] must be an array.")
    parts: _Parts = {}
    buttons: _Buttons = {}
    for component in components:
        if not isinstance(component, dict) or not isinstance(component.get("type"), str):
            return Refusal(100, "Each of template['components'] must be an object with a type.")
        kind = component["type"].lower()
        if kind == "button":
            index = str(component.get("index", ""))
            if not index.isdecimal():
                return Refusal(131008, "buttons: index is missing or not a number")
            if int(index) in buttons:
                return Refusal(132018, f"buttons: more than one component for index {index}")
            buttons[int(index)] = component
        elif kind not in {"header", "body", "carousel", "limited_time_offer"}:
            return Refusal(100, f"Unexpected component type {component['type']!r}.")
        elif kind in parts:
            return Refusal(132018, f"{kind}: more than one component of this type")
        else:
            parts[kind] = component
    return parts, buttons


def _check_part(part: Part, parts: _Parts, buttons: _Buttons, *, named: bool) -> Refusal | None:
    refusal = _check_header(part.header, _parameters(parts.get("header")), named=named)
    if refusal is None:
        refusal = _check_text("body", part.body, _parameters(parts.get("body")), named=named)
    if refusal is None and (buttons or part.buttons):
        refusal = _check_buttons(part.buttons, buttons)
    return refusal


def _parameters(component: Mapping[str, Any] | None) -> list[Any]:
    """The parameters of a component; one that is left out, or holds no list, has none."""
    found = None if component is None else component.get("parameters")
    return found if isinstance(found, list) else []


def _check_header(header: Header | None, parameters: list[Any], *, named: bool) -> Refusal | None:
    if header is None:
        return _wrong_count("header", len(parameters), 0) if parameters else None
    if header.slots is not None:
        return _check_text("header", header.slots, parameters, named=named)
    expected = header.kind
    if len(parameters) > 1:
        return _wrong_count("header", len(parameters), 1)
    given = parameters[0].get("type") if parameters and isinstance(parameters[0], dict) else "UNKNOWN"
    if str(given).upper() != expected:
        return Refusal(132012, f"header: Format mismatch, expected {expected}, received {str(given).upper()}")
    value = parameters[0].get(expected.lower())
    if not isinstance(value, dict):
        return Refusal(
            131008, f"header: Parameter of type {expected.lower()} is missing its {expected.lower()} object"
        )
    return _check_location(value) if expected == "LOCATION" else _check_media(value)


def _check_media(media: Mapping[str, Any]) -> Refusal | None:
    media_id, link = media.get("id"), media.get("link")
    if not media_id and not link:
        return Refusal(131008, "header: media needs an id or a link")
    if not media_id and not str(link).startswith(("https://", "http://")):
        return Refusal(131009, "header: link is not a valid URI")
    return None


def _check_location(location: Mapping[str, Any]) -> Refusal | None:
    for key, bound in (("latitude", 90), ("longitude", 180)):
        if key not in location:
            return Refusal(131008, f"header: location is missing its {key}")
        try:
            value = float(location[key])
        except (TypeError, ValueError):
            return Refusal(131009, f"header: {key} is not a number")
        if not -bound <= value <= bound:
            return Refusal(131009, f"header: {key} is not between -{bound} and {bound}")
    return None


def _check_text(where: str, slots: TextSlots, parameters: list[Any], *, named: bool) -> Refusal | None:
    if len(parameters) != len(slots.names):
        return _wrong_count(where, len(parameters), len(slots.names))
    chars = slots.fixed_chars
    seen: set[str] = set()
    for place, parameter in enumerate(parameters):
        if not isinstance(parameter, dict):
            return Refusal(132012, f"{where}: Parameter at index {place} is not an object")
        name = slots.names[place]
        if named:
            name = parameter.get("parameter_name", "")
            if name not in slots.times or name in seen:
                return Refusal(132012, f"{where}: Parameter name {name!r} is missing, unknown or repeated")
            seen.add(name)
        text = _text_of(where, parameter)
        if isinstance(text, Refusal):
            return text
        if not text.strip() or _FORBIDDEN.search(text):
            return Refusal(
                132018,
                f"{where}: Param text at index {place} cannot be empty or have new-line/tab characters "
                "or more than 4 consecutive spaces",
            )
        chars += len(text) * slots.times[name]
    if chars > slots.max_chars:
        return Refusal(
            132005, f"{where}: text has {chars} characters once filled in, {slots.max_chars} are allowed"
        )
    return None


def _text_of(where: str, parameter: Mapping[str, Any]) -> str | Refusal:
    """What a text, currency or date parameter shows."""
    kind = parameter.get("type")
    if kind == "text":
        text = parameter.get("text")
    elif kind in {"currency", "date_time"} and where == "body":
        value = parameter.get(kind)
        text = value.get("fallback_value") if isinstance(value, dict) else None
    else:
        return Refusal(132012, f"{where}: Format mismatch, expected TEXT, received {str(kind).upper()}")
    if not isinstance(text, str):
        return Refusal(131008, f"{where}: Parameter of type {kind} is missing its text value")
    return text


def _check_buttons(expected: tuple[Button, ...], given: _Buttons) -> Refusal | None:
    for index, component in given.items():
        if index >= len(expected):
            return Refusal(132018, f"buttons: the template has no button at index {index}")
        refusal = _check_button(index, expected[index], component)
        if refusal is not None:
            return refusal
    for index, button in enumerate(expected):
        needed = button.kind in {"OTP", "COPY_CODE", "MPM"} or button.suffix_chars is not None
        if needed and index not in given:
            return Refusal(
                131008, f"buttons: Button at index {index} of type {button.kind} requires a parameter"
            )
    return None


def _check_button(index: int, button: Button, component: Mapping[str, Any]) -> Refusal | None:
    sub_type = str(component.get("sub_type", "")).lower()
    if sub_type != _SUB_TYPES.get(button.kind):
        return Refusal(132018, f"buttons: Button at index {index} is of type {button.kind}, not {sub_type!r}")
    if button.kind == "URL" and button.suffix_chars is None:
        return Refusal(132018, f"buttons: Button at index {index} of type URL does not take a parameter")
    parameters = _parameters(component)
    if len(parameters) != 1 or not isinstance(parameters[0], dict):
        return Refusal(132000, f"buttons: Button at index {index} takes 1 parameter, {len(parameters)} given")
    key = _VALUE_KEYS.get(sub_type, "action")
    if parameters[0].get("type") != key:
        return Refusal(132012, f"buttons: Button at index {index} takes a parameter of type {key}")
    value = parameters[0].get(key)
    if key == "action":
        return (
            None if isinstance(value, dict) else Refusal(131008, f"buttons: action missing at index {index}")
        )
    if not isinstance(value, str) or not value:
        return Refusal(131008, f"buttons: Parameter of type {key} at index {index} is missing its value")
    if button.suffix_chars is not None and len(value) > button.suffix_chars:
        return Refusal(132005, f"buttons: URL at index {index} is too long once filled in")
    if (button.kind == "OTP" and len(value) > _OTP_CHARS) or (
        key == "coupon_code" and len(value) > _COUPON_CHARS
    ):
        return Refusal(132018, f"buttons: code at index {index} is too long")
    return None


def _check_cards(form: TemplateForm, cards: object) -> Refusal | None:
    if not isinstance(cards, list) or len(cards) != len(form.cards):
        given = len(cards) if isinstance(cards, list) else 0
        return Refusal(
            132000, f"carousel: number of cards ({given}) does not match the expected {len(form.cards)}"
        )
    seen: set[object] = set()
    for place, card in enumerate(cards):
        index = card.get("card_index") if isinstance(card, dict) else None
        if not isinstance(index, int) or not 0 <= index < len(cards) or index in seen:
            return Refusal(132018, f"carousel: card {place} needs a card_index of its own, from 0")
        seen.add(index)
        sorted_out = _sort_out(card.get("components", []))
        if isinstance(sorted_out, Refusal):
            return sorted_out
        refusal = _check_part(form.cards[index], *sorted_out, named=form.named)
        if refusal is not None:
            return Refusal(refusal.code, f"carousel card {index}: {refusal.details}")
    return None


def _wrong_count(where: str, given: int, expected: int) -> Refusal:
    return Refusal(
        132000,
        f"{where}: number of localizable_params ({given}) does not match the expected number of params ({expected})",
    )
