"""What fills a template's slots: columns of an audience and literals, and the rules each value has to keep.

A ``SlotMapping`` says which source fills which slot; it is checked against template and audience before anything
starts, and every value once more before it is posted. Nothing here knows the wire format (``channel/payloads.py``);
free-form content is in ``reply.py``.

Invariant: what passes these checks is not refused by Meta for its form, as far as Meta says what the form is.
Source: Meta, "Send templates" and the pages of the message types, read 2026-09, unless a line says otherwise.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TypeAlias

from dispatcher.domain.template import Slot, SlotKind, Template

ANSWERED = Slot("context", SlotKind.TEXT, required=False, max_chars=512)
"""Beside a template's own slots: Meta's id of the message that is answered. No template has a part of this name."""


@dataclass(frozen=True, slots=True)
class Column:
    """The person's value in this column of the audience."""

    name: str


@dataclass(frozen=True, slots=True)
class Literal:
    """The same text for everybody."""

    text: str


ValueSource: TypeAlias = Column | Literal


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that keeps a campaign from starting, or one person's message from being posted."""

    field: str
    """The slot, or what was written where no slot could be read."""
    text: str
    """What is wrong and what one can do, for people."""

    def __str__(self) -> str:
        return f"{self.field}: {self.text}"


@dataclass(frozen=True, slots=True)
class SlotMapping:
    """A campaign's slots and their sources, as given: order kept, duplicates not yet refused."""

    assignments: tuple[tuple[str, ValueSource], ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are used, each once, in order of first use."""
        return tuple(dict.fromkeys(s.name for _, s in self.assignments if isinstance(s, Column)))

    def source_of(self, path: str) -> ValueSource | None:
        """What fills this slot; the first one if several were given."""
        return next((source for slot, source in self.assignments if slot == path), None)

    def to_json(self) -> list[dict[str, str]]:
        """For the ledger: ``[{"slot": "body.1", "column": "first_name"}, {"slot": …, "literal": …}]``."""
        return [
            {"slot": slot, "column": source.name}
            if isinstance(source, Column)
            else {"slot": slot, "literal": source.text}
            for slot, source in self.assignments
        ]

    @classmethod
    def from_json(cls, rows: Sequence[Mapping[str, str]]) -> "SlotMapping":
        """What ``to_json`` wrote. Raises KeyError on anything else."""
        return cls(
            tuple(
                (row["slot"], Column(row["column"]) if "column" in row else Literal(row["literal"]))
                for row in rows
            )
        )


def parse_assignment(text: str) -> tuple[str, ValueSource] | Problem:
    """Read ``SLOT=COLUMN``, ``SLOT='literal'`` or ``SLOT="literal"``; quotes inside a literal need no escape."""
    path, equals, value = text.partition("=")
    path, value = path.strip(), value.strip()
    if not equals or not path or not value:
        return Problem(text, "write SLOT=COLUMN or SLOT='text', for instance body.1=first_name")
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
        return path, Literal(value[1:-1])
    return path, Column(value)


def parse_mapping(texts: Sequence[str]) -> SlotMapping | list[Problem]:
    """Read several assignments; all that cannot be read are named."""
    read = [parse_assignment(text) for text in texts]
    problems = [item for item in read if isinstance(item, Problem)]
    return problems or SlotMapping(tuple(item for item in read if not isinstance(item, Problem)))


def complete_mapping(
    template: Template, columns: Collection[str], given: SlotMapping | None = None
) -> SlotMapping:
    """``given``, and for every slot it leaves open the column that bears the slot's name.

    ``body.first_name`` takes a column ``body.first_name`` or ``first_name``; ``body.2`` takes ``body.2`` or ``2``;
    ``header.image`` takes ``header.image`` or ``image``; slots of buttons and cards only their full path.
    The button of a one-time code takes what the body takes: it is the same code.
    """
    given = given or SlotMapping()
    assignments = list(given.assignments)
    mapped = {path for path, _ in assignments}
    for slot in template.slots:
        if slot.path in mapped:
            continue
        name = next((name for name in _default_columns(slot) if name in columns), None)
        if name is not None:
            assignments.append((slot.path, Column(name)))
        elif slot.kind is SlotKind.OTP_CODE and (code := _body_source(assignments)):
            assignments.append((slot.path, code))
    return SlotMapping(tuple(assignments))


def check_mapping(template: Template, mapping: SlotMapping, columns: Collection[str]) -> list[Problem]:
    """Everything that is wrong with a campaign's mapping, before anything starts; empty means it may.

    columns: those the audience has.
    """
    problems = []
    slots = {slot.path: slot for slot in template.slots}
    seen: set[str] = set()
    for path, source in mapping.assignments:
        if path in seen:
            problems.append(Problem(path, "is filled twice; keep one of them"))
            continue
        seen.add(path)
        slot = ANSWERED if path == ANSWERED.path else slots.get(path)
        if slot is None:
            problems.append(Problem(path, f"the template has no such slot{_instead(path, slots)}"))
        elif isinstance(source, Literal):
            if problem := problem_with(slot, source.text):
                problems.append(Problem(path, problem))
        elif source.name not in columns:
            problems.append(Problem(path, f"no column {source.name!r}{_instead(source.name, columns)}"))
    problems += [
        Problem(slot.path, f"is required: map it, for instance {slot.path}=COLUMN")
        for slot in template.slots
        if slot.required and slot.path not in seen
    ]
    return problems


def _default_columns(slot: Slot) -> tuple[str, ...]:
    part, _, name = slot.path.partition(".")
    if part == "body" or (part in {"header", "lto"} and not name.isdecimal()):
        return slot.path, name
    return (slot.path,)


def _body_source(assignments: Sequence[tuple[str, ValueSource]]) -> ValueSource | None:
    return next((source for path, source in assignments if path.startswith("body.")), None)


def _instead(name: str, known: Collection[str]) -> str:
    if not known:
        return "; there are none"
    close = get_close_matches(name, known, n=3, cutoff=0.6)
    if close:
        return f"; did you mean {' or '.join(close)}?"
    return f"; there are {', '.join(sorted(known))}"


def problem_with(slot: Slot, value: str) -> str | None:
    """Why this value may not go into this slot, for people; None if it may. No network: a link is not fetched."""
    if not value or value.isspace():
        return "is empty"
    if slot.max_chars is not None and len(value) > slot.max_chars:
        return f"has {len(value)} characters, {slot.max_chars} are allowed"
    # Meta refuses line breaks, tabs and runs of spaces in template parameters. A lone surrogate is no UTF-8 and a NUL
    # no text for PostgreSQL, so neither could be sent and written down.
    # why twice: nearly all values are printable, and to ask that takes a tenth of looking for what is forbidden.
    if (not value.isprintable() or _TOO_MANY_SPACES in value) and _FORBIDDEN.search(value):
        return _name_forbidden(value)
    if slot.kind is _TEXT:
        return None  # why: most values are texts, and looking up an enum costs as much as all of the above
    rule = _RULES.get(slot.kind)
    return rule(value) if rule else None


def is_link(value: str) -> bool:
    """Whether a media value is an address to fetch; otherwise it is the id of an upload."""
    return _LINK.match(value) is not None


def problem_with_media(value: str) -> str | None:
    """Why this is neither an http(s) link nor the id of an upload, for people; None if it is one of them."""
    if is_link(value) or (value.isascii() and value.isdecimal()):
        return None
    if _SCHEME.match(value):
        return "is no link Meta can fetch: it must be http:// or https:// and without spaces"
    return "is neither an http(s) link nor the id of an upload"


def problem_with_text(field: str, text: str | None, chars_max: int) -> Problem | None:
    """Why this cannot be a free-form text of at most so many characters; None where it can, or where there is none."""
    if text is None:
        return None
    if not text or text.isspace():
        return Problem(field, "is empty")
    if _NO_TEXT.search(text):
        return Problem(field, "has a character that is no text (NUL or half a surrogate pair)")
    if len(text) > chars_max:
        return Problem(field, f"has {len(text)} characters, {chars_max} are allowed")
    return None


_NO_TEXT = re.compile("[\0\ud800-\udfff]")
_TOO_MANY_SPACES = " " * 5
_FORBIDDEN = re.compile(f"[\n\r\t\0\ud800-\udfff]|{_TOO_MANY_SPACES}")
_TEXT = SlotKind.TEXT
_LINK = re.compile(r"https?://[^\s/?#]+\S*\Z", re.IGNORECASE)
_DECIMAL = re.compile(r"-?[0-9]{1,3}(\.[0-9]+)?")
_WHOLE_MS = re.compile(r"[1-9][0-9]{0,14}")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)
_MS_OF_2001 = 1_000_000_000_000  # seconds of today are smaller than this, milliseconds larger


def _name_forbidden(value: str) -> str:
    if "\n" in value or "\r" in value:
        return "has a line break, which template parameters may not have"
    if "\t" in value:
        return "has a tab, which template parameters may not have"
    if _TOO_MANY_SPACES in value:
        return "has more than four spaces in a row, which template parameters may not have"
    return "has a character that is no text (NUL or half a surrogate pair)"


def _degrees(limit: int) -> Callable[[str], str | None]:
    def problem(value: str) -> str | None:
        if _DECIMAL.fullmatch(value) and -limit <= float(value) <= limit:
            return None
        return f"is no number of degrees between -{limit} and {limit}, such as 52.52"

    return problem


def _problem_with_expiration(value: str) -> str | None:
    if _WHOLE_MS.fullmatch(value) is None:
        return "is no time: write whole milliseconds since 1970 (UTC)"
    return (
        "is too small for milliseconds since 1970; are these seconds?" if int(value) < _MS_OF_2001 else None
    )


_RULES: Mapping[SlotKind, Callable[[str], str | None]] = {
    SlotKind.IMAGE: problem_with_media,
    SlotKind.VIDEO: problem_with_media,
    SlotKind.DOCUMENT: problem_with_media,
    SlotKind.LATITUDE: _degrees(90),
    SlotKind.LONGITUDE: _degrees(180),
    SlotKind.EXPIRATION: _problem_with_expiration,
}
