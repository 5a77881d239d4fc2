"""Payloads: the body of ``POST /messages`` for one person, assembled from a template compiled once per campaign.

Of a campaign's message only a few strings vary. ``compile_template`` builds the whole JSON once, with marks where a
person's values go, and cuts it there; ``render`` checks the values and joins bytes. What a slot may hold is
``domain/content.py``'s affair, which columns fill it the mapping's.

Invariant: what ``render`` returns is valid JSON that holds the person's values exactly; a value Meta would refuse
costs no request but comes back as a ``Problem`` that names the field.
Source: Meta, "Send templates", "Carousel", "Limited-time offer" and "Authentication templates", read 2026-09.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from dispatcher.domain.content import (
    ANSWERED,
    Column,
    Literal,
    Problem,
    SlotMapping,
    check_mapping,
    is_link,
    problem_with,
)
from dispatcher.domain.template import Slot, SlotKind, Template

TOKEN_CHARS_MAX = 512
"""Of ``biz_opaque_callback_data``. Source: Meta, "Messages" reference, read 2026-09."""


class _Hole(NamedTuple):
    """A place in the JSON where a person's value goes, and the bytes that follow it."""

    column: int
    slot: Slot
    encode: Callable[[str], bytes]
    then: bytes


class _Budget(NamedTuple):
    """How many characters the values of one text may have together; ``columns`` repeats what occurs twice."""

    path: str
    chars_max: int
    columns: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class CompiledTemplate:
    """A template with its mapping, ready to be rendered for one person after the other. Immutable, shareable."""

    columns: tuple[str, ...]
    """The columns of the audience that ``values`` must hold, in this order."""
    after_token: bytes
    holes: tuple[_Hole, ...]
    budgets: tuple[_Budget, ...]

    def render(self, to_e164: str, values: Sequence[str], token: str) -> bytes | Problem:
        """The request's body, or why this person's message may not be posted.

        to_e164: with ``+``. values: the person's, one per name in ``columns``.
        token: ours, at most 512 characters; Meta returns it in ``biz_opaque_callback_data``.
        Raises ValueError on a wrong number of values or a token too long: our own mistakes, not the person's.
        Cost: some 3 µs with two parameters.
        """
        if len(values) != len(self.columns):
            raise ValueError(f"expected {len(self.columns)} values, got {len(values)}")
        if len(token) > TOKEN_CHARS_MAX:
            raise ValueError(f"a token has at most {TOKEN_CHARS_MAX} characters")
        parts = [_BEFORE_TO, orjson.dumps(to_e164), _BEFORE_TOKEN, orjson.dumps(token), self.after_token]
        for column, slot, encode, then in self.holes:
            value = values[column]
            if problem := problem_with(slot, value):
                return Problem(slot.path, problem)
            parts.append(encode(value))
            parts.append(then)
        for path, chars_max, used in self.budgets:
            left = chars_max
            for column in used:
                left -= len(values[column])
            if left < 0:
                return Problem(path, f"has {-left} characters too many with this person's values")
        return b"".join(parts)


def compile_template(template: Template, mapping: SlotMapping) -> CompiledTemplate:
    """Compile once per campaign what ``render`` needs for each person.

    Raises ValueError if the template cannot be sent by us or the mapping does not fit it: ``check_mapping`` tells
    that to people before a campaign starts, so here it is a broken promise.
    """
    columns = mapping.columns
    problems = [*template.unsupported, *map(str, check_mapping(template, mapping, columns))]
    if problems:
        raise ValueError(f"template {template.name} cannot be compiled: {'; '.join(problems)}")
    builder = _Builder(template, mapping)
    components = builder.components()
    whole: dict[str, Any] = {"name": template.name, "language": {"code": template.language}}
    if components:
        whole["components"] = components
    first, *rest = _MARK.split(orjson.dumps(whole) + builder.answered())
    marked = [builder.marked[int(number)] for number in rest[::2]]
    holes = tuple(
        _Hole(columns.index(column), slot, _encoder_of(slot.kind), then)
        for (slot, column), then in zip(marked, rest[1::2], strict=True)
    )
    if holes:
        holes = (*holes[:-1], holes[-1]._replace(then=holes[-1].then + b"}"))
    else:
        first += b"}"
    return CompiledTemplate(columns, _BEFORE_TEMPLATE + first, holes, _budgets(template, mapping))


_BEFORE_TO = b'{"messaging_product":"whatsapp","recipient_type":"individual","to":'
_BEFORE_TOKEN = b',"type":"template","biz_opaque_callback_data":'
_BEFORE_TEMPLATE = b',"template":'
# A mark is a JSON string no value can contain (values have no NUL); where a whole member varies, as the id or link of
# an image does, the mark stands as a key with the value 0.
_MARK = re.compile(rb'"\\u0000(\d+)"(?::0)?')


class TemplatePayloads:
    """The port ``Payloads``."""

    def compile(self, template: Template, mapping: SlotMapping) -> CompiledTemplate:
        """See ``compile_template``."""
        return compile_template(template, mapping)


class _Builder:
    """Meta's ``components`` as Python objects, with a mark wherever a column's value will go."""

    def __init__(self, template: Template, mapping: SlotMapping) -> None:
        self.template = template
        self.sources = dict(mapping.assignments)
        self.marked: list[tuple[Slot, str]] = []

    def answered(self) -> bytes:
        """The member that follows the template where the message answers another one."""
        if ANSWERED.path not in self.sources:
            return b""
        return b',"context":%b' % orjson.dumps({"message_id": self._value(ANSWERED)})

    def components(self) -> list[dict[str, Any]]:
        """Only the parts that have something to fill: constant parts are Meta's own."""
        parts = self._parts("")
        if expiration := self._slots("lto."):
            offer = {"expiration_time_ms": self._value(expiration[0])}
            parameter = {"type": "limited_time_offer", "limited_time_offer": offer}
            parts.append({"type": "limited_time_offer", "parameters": [parameter]})
        parts += self._buttons("")
        if count := self.template.card_count:
            cards = [
                {"card_index": n, "components": self._parts(f"card.{n}.") + self._buttons(f"card.{n}.")}
                for n in range(count)
            ]
            parts.append({"type": "carousel", "cards": cards})
        return parts

    def _parts(self, where: str) -> list[dict[str, Any]]:
        parts = []
        if header := self._slots(f"{where}header."):
            parts.append({"type": "header", "parameters": [self._header(header)]})
        if body := self._slots(f"{where}body."):
            parts.append({"type": "body", "parameters": [self._text(slot) for slot in body]})
        return parts

    def _header(self, slots: Sequence[Slot]) -> dict[str, Any]:
        slot = slots[0]
        if slot.kind is SlotKind.LATITUDE:
            place = {slot.path.rpartition(".")[2]: self._value(slot) for slot in slots}
            return {"type": "location", "location": place}
        if not slot.kind.is_media:
            return self._text(slot)
        media = self._media(slot)
        for extra in slots[1:]:
            media["filename"] = self._value(extra)
        return {"type": str(slot.kind), str(slot.kind): media}

    def _text(self, slot: Slot) -> dict[str, Any]:
        named = {"parameter_name": slot.path.rpartition(".")[2]} if self.template.is_named else {}
        return {"type": "text", **named, "text": self._value(slot)}

    def _buttons(self, where: str) -> list[dict[str, Any]]:
        return [
            {
                "type": "button",
                "sub_type": _SUB_TYPES[slot.kind],
                "index": slot.path.split(".")[-2],
                "parameters": [self._button(slot)],
            }
            for slot in self._slots(f"{where}button.")
        ]

    def _button(self, slot: Slot) -> dict[str, Any]:
        value = self._value(slot)
        match slot.kind:
            case SlotKind.PAYLOAD:
                return {"type": "payload", "payload": value}
            case SlotKind.COUPON_CODE:
                return {"type": "coupon_code", "coupon_code": value}
            case SlotKind.FLOW_TOKEN:
                return {"type": "action", "action": {"flow_token": value}}
            case SlotKind.PRODUCT:
                return {"type": "action", "action": {"thumbnail_product_retailer_id": value}}
            case _:
                return {"type": "text", "text": value}

    def _slots(self, prefix: str) -> list[Slot]:
        """Those under ``prefix`` that are filled; optional ones may be left out."""
        return [s for s in self.template.slots if s.path.startswith(prefix) and s.path in self.sources]

    def _value(self, slot: Slot) -> str | int:
        source = self.sources[slot.path]
        if isinstance(source, Literal):
            return int(source.text) if slot.kind is SlotKind.EXPIRATION else source.text
        return self._mark(slot, source)

    def _media(self, slot: Slot) -> dict[str, Any]:
        source = self.sources[slot.path]
        if isinstance(source, Literal):
            return {_media_key(source.text): source.text}
        return {self._mark(slot, source): 0}

    def _mark(self, slot: Slot, column: Column) -> str:
        self.marked.append((slot, column.name))
        return f"\0{len(self.marked) - 1}"


_SUB_TYPES: Mapping[SlotKind, str] = {
    SlotKind.PAYLOAD: "quick_reply",
    SlotKind.URL_SUFFIX: "url",
    SlotKind.OTP_CODE: "url",
    SlotKind.COUPON_CODE: "copy_code",
    SlotKind.FLOW_TOKEN: "flow",
    SlotKind.PRODUCT: "catalog",
}


def _budgets(template: Template, mapping: SlotMapping) -> tuple[_Budget, ...]:
    """What the constant text and the literals leave for the values of columns; none where nothing varies.

    Meta refuses a body which is too long after substitution with 132005.
    """
    budgets = []
    for block in template.texts:
        left, used = block.max_chars - block.constant_chars, []
        for name in block.placeholders:
            source = mapping.source_of(f"{block.path}.{name}")
            if isinstance(source, Column):
                used.append(mapping.columns.index(source.name))
            elif source is not None:
                left -= len(source.text)
        if left < 0:
            raise ValueError(f"{block.path} has {-left} characters too many with its literals")
        if used:
            budgets.append(_Budget(block.path, left, tuple(used)))
    return tuple(budgets)


def _encoder_of(kind: SlotKind) -> Callable[[str], bytes]:
    if kind.is_media:
        return _encode_media
    return str.encode if kind is SlotKind.EXPIRATION else orjson.dumps


def _encode_media(value: str) -> bytes:
    """A member of the media object: ``"link":"https://…"`` or ``"id":"9000…"``."""
    return b'"%s":%s' % (_media_key(value).encode(), orjson.dumps(value))


def _media_key(value: str) -> str:
    return "link" if is_link(value) else "id"
