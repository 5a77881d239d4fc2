"""From the components of a posted template to the values of its slots: the inverse of `payloads`.

What the template asks for and the components leave out, what they give and the template has not, and values that Meta would
refuse are all found here, before anything is stored. Meta ships no default for a place that is left out, neither do we.

Invariant: the values that come back are complete: a message made of them is the one that was asked for.
Source: Meta, "Send templates", "Carousel", "Limited-time offer" and "Authentication templates", read 2026-09.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dispatcher.channel.gateway_fields import Fields, Objected, media_source
from dispatcher.channel.payloads import compile_template
from dispatcher.domain.content import Column, Problem, SlotMapping, problem_with
from dispatcher.domain.gateway import Objection, Refused
from dispatcher.domain.template import Slot, SlotKind, Template

ANYBODY = "+12025550100"
"""Whom a message is rendered for, to see whether it can be. Numbers with 555 01 are nobody's."""


class TemplateReading:
    """The port `TemplateReader`."""

    def values(self, template: Template, components: Sequence[Any]) -> Mapping[str, str] | Refused:
        """Slot → text, in the order of the template."""
        try:
            given = _Reading(template).read(components)
        except Objected as objected:
            return objected.refused
        for slot in template.slots:
            if slot.path not in given and slot.required:
                return _left_out(slot)
        return _judged(
            template, {slot.path: given[slot.path] for slot in template.slots if slot.path in given}
        )


class _Reading:
    """One walk over a message's components; `where` is the path so far, empty or `card.N.`."""

    def __init__(self, template: Template) -> None:
        self.template = template
        self.values: dict[str, str] = {}

    def read(self, components: Sequence[Any], where: str = "") -> Mapping[str, str]:
        seen: set[str] = set()
        for place, component in enumerate(components):
            fields = Fields(component, f"template.{where}components[{place}]")
            kind = fields.need_text("type").lower()
            if kind != "button" and kind in seen:
                raise Objected(Objection.WRONG_FORMAT, f"{where}{kind}: stands twice")
            seen.add(kind)
            match kind:
                case "header":
                    self._header(fields, where)
                case "body":
                    self._texts(fields.each_if("parameters"), f"{where}body")
                case "button":
                    self._button(fields, where)
                case "carousel" if not where:
                    self._cards(fields)
                case "limited_time_offer" if not where:
                    offer = _only(fields, "limited_time_offer").inner("limited_time_offer")
                    self._put("lto.expiration", str(offer.need("expiration_time_ms")), "limited_time_offer")
                    offer.done()
                case other:
                    raise Objected(Objection.UNKNOWN_FIELD, f"component {other!r} is not known here")
            fields.done()
        for part in ("header", "body"):
            # why only texts: a picture that is left out is another kind than is wanted, not one parameter less.
            if part not in seen and (wanted := self._placeholders(f"{where}{part}")):
                raise _wrong_count(f"{where}{part}", 0, len(wanted))
        return self.values

    def _placeholders(self, path: str) -> Sequence[Slot]:
        found = [slot for slot in self.template.slots if slot.path.startswith(f"{path}.")]
        return [slot for slot in found if slot.kind is SlotKind.TEXT and ".location." not in slot.path]

    def _header(self, fields: Fields, where: str) -> None:
        path = f"{where}header"
        if self._placeholders(path) or not any(s.path.startswith(f"{path}.") for s in self.template.slots):
            self._texts(fields.each_if("parameters"), path)
            return
        parameter = _only(fields, path)
        kind = parameter.need_text("type").lower()
        if kind == "location":
            place = parameter.inner("location")
            for name in ("latitude", "longitude", "name", "address"):
                self._put(f"{path}.location.{name}", str(place.need(name)), path)
            place.done()
        else:
            media = parameter.inner(kind)
            self._put(f"{path}.{kind}", media_source(media), path)
            if (filename := media.text("filename")) is not None:
                self._put(f"{path}.filename", filename, path)
            media.done()
        parameter.done()

    def _texts(self, parameters: Iterable[Fields], path: str) -> None:
        wanted, given = self._placeholders(path), list(parameters)
        if len(given) != len(wanted):
            raise _wrong_count(path, len(given), len(wanted))
        for slot, parameter in zip(wanted, given, strict=True):
            if (kind := parameter.need_text("type").lower()) != "text":
                # why not currency and date_time: they carry three values, and a slot holds one.
                raise Objected(
                    Objection.WRONG_FORMAT, f"{path}: Format mismatch, expected TEXT, received {kind.upper()}"
                )
            name = parameter.text("parameter_name")
            if self.template.is_named != (name is not None):
                how = "by name: parameter_name is required" if name is None else "by position, not by name"
                raise Objected(Objection.WRONG_FORMAT, f"{path}: this template's parameters go {how}")
            self._put(slot.path if name is None else f"{path}.{name}", parameter.need_text("text"), path)
            parameter.done()

    def _button(self, fields: Fields, where: str) -> None:
        index = str(fields.need("index"))
        path = f"{where}button.{index}"
        kind = fields.need_text("sub_type").lower()
        parameter = _only(fields, path)
        match kind:
            case "quick_reply":
                parameter.must_be("type", "payload")
                self._put(f"{path}.payload", parameter.need_text("payload"), path)
            case "url":
                parameter.must_be("type", "text")
                is_code = self.template.slot(f"{path}.url") is None
                self._put(f"{path}.{'code' if is_code else 'url'}", parameter.need_text("text"), path)
            case "copy_code":
                parameter.must_be("type", "coupon_code")
                self._put(f"{path}.code", parameter.need_text("coupon_code"), path)
            case "flow" | "catalog":
                parameter.must_be("type", "action")
                action = parameter.inner("action")
                wanted = (
                    ("flow_token", "flow_token")
                    if kind == "flow"
                    else ("product", "thumbnail_product_retailer_id")
                )
                if (value := action.text(wanted[1])) is not None:
                    self._put(f"{path}.{wanted[0]}", value, path)
                action.done()
            case other:
                raise Objected(Objection.WRONG_FORMAT, f"{path}: sub_type {other!r} is not sent from here")
        parameter.done()

    def _cards(self, fields: Fields) -> None:
        cards = list(fields.each("cards"))
        if len(cards) != self.template.card_count:
            raise _wrong_count("carousel", len(cards), self.template.card_count)
        indexes = set()
        for card in cards:
            index = card.need("card_index")
            if not isinstance(index, int) or index in indexes or not 0 <= index < len(cards):
                raise Objected(
                    Objection.WRONG_FORMAT, "carousel: each card has a card_index of its own, from 0"
                )
            indexes.add(index)
            components = card.need("components")
            if not isinstance(components, list):
                raise Objected(Objection.BAD_FIELD, f"{card.name('components')} must be a list")
            self.read(components, f"card.{index}.")
            card.done()

    def _put(self, path: str, value: str, where: str) -> None:
        slot = self.template.slot(path)
        if slot is None:
            raise Objected(Objection.WRONG_FORMAT, f"{where}: the template has no {path}")
        if path in self.values:
            raise Objected(Objection.WRONG_FORMAT, f"{where}: {path} is given twice")
        self.values[path] = value


def _only(fields: Fields, path: str) -> Fields:
    """The one parameter of a component that takes one."""
    parameters = list(fields.each("parameters"))
    if len(parameters) != 1:
        raise _wrong_count(path, len(parameters), 1)
    return parameters[0]


def _left_out(slot: Slot) -> Refused:
    if slot.kind.is_media or slot.path.endswith("latitude"):
        kind = slot.kind.upper() if slot.kind.is_media else "LOCATION"
        return Refused(
            Objection.WRONG_FORMAT,
            f"{slot.path.rpartition('.')[0]}: Format mismatch, expected {kind}, received UNKNOWN",
        )
    return Refused(Objection.MISSING_FIELD, f"{slot.path}: the template requires a parameter")


def _judged(template: Template, values: Mapping[str, str]) -> Mapping[str, str] | Refused:
    """The values, if a message can be made of them."""
    for path, value in values.items():
        slot = template.slot(path)
        assert slot is not None
        if problem := problem_with(slot, value):
            return Refused(Objection.BAD_PARAMETER, f"{path} {problem}")
    mapping = SlotMapping(tuple((path, Column(path)) for path in values))
    rendered = compile_template(template, mapping).render(ANYBODY, list(values.values()), "")
    if isinstance(rendered, Problem):
        return Refused(Objection.TOO_LONG, str(rendered))
    return values


def _wrong_count(path: str, given: int, wanted: int) -> Objected:
    return Objected(
        Objection.WRONG_COUNT,
        f"{path}: number of localizable_params ({given}) does not match the expected number of params ({wanted})",
    )
