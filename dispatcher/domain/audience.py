"""What becomes of a row of an audience: a person with values, or a rejected row with its reason.

Where rows come from is left to the reader (`engine/audience.py`), where they go to the ledger; duplicates show only
there, because they need the whole file.
Invariant: every row ends as exactly one of the two, and a rejected one can be found in the file by its line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, Protocol, TypeAlias

from dispatcher.domain.errors import BadValue
from dispatcher.domain.phone import BadPhone, PhoneFault, is_region, parse_phone, unreachable_country

PHONE_COLUMNS = ("phone", "phone_number", "mobile", "msisdn", "number", "to", "whatsapp", "tel")
"""Names by which the phone column is found when nobody named it, in this order, in any case."""

VALUE_MAX_CHARS = 200
"""So much of a rejected value is kept: enough to recognise it, not enough to fill the ledger with rubbish."""


class RejectReason(StrEnum):
    """Why a row of the audience became no message. A closed set: reports count by it."""

    EMPTY_NUMBER = "empty_number"
    """The phone column is empty."""
    NOT_A_NUMBER = "not_a_number"
    """Letters, two numbers in one field, an extension, a spreadsheet's 1.2E+10."""
    NO_COUNTRY_CODE = "no_country_code"
    """Neither ``+`` nor a default region says which country is meant."""
    UNKNOWN_COUNTRY_CODE = "unknown_country_code"
    """No country has this calling code."""
    TOO_SHORT = "too_short"
    """Fewer digits than any number of that country has."""
    TOO_LONG = "too_long"
    """More digits than any number of that country has."""
    WRONG_LENGTH = "wrong_length"
    """No number of that country has this many digits."""
    UNREACHABLE_COUNTRY = "unreachable_country"
    """WhatsApp delivers no business messages there."""
    DUPLICATE = "duplicate"
    """The same person stands in an earlier line, perhaps written differently; the first line counts."""
    MISSING_VALUE = "missing_value"
    """A column that the template needs is empty."""
    BAD_VALUE = "bad_value"
    """A value that WhatsApp would refuse, or that no database can hold."""
    WRONG_FIELD_COUNT = "wrong_field_count"
    """More or fewer fields than the header has."""
    NESTED_VALUE = "nested_value"
    """NDJSON: a list or an object where a plain value belongs."""
    NOT_AN_OBJECT = "not_an_object"
    """NDJSON: the line is not one JSON object."""


_NUMBER_REASONS = {
    fault: RejectReason.EMPTY_NUMBER if fault is PhoneFault.EMPTY else RejectReason(fault.value)
    for fault in PhoneFault
}


@dataclass(frozen=True, slots=True)
class Unreadable:
    """What a reader yields in place of a row's fields when the row alone is broken, not the file."""

    column: str
    reason: RejectReason
    value: str


Row: TypeAlias = tuple[int, Sequence[str] | Unreadable]
"""The line of the file in which the row starts, counted from 1, and its fields in the order of the columns."""


class Person(NamedTuple):
    """A row that becomes a message, unless the person stands in an earlier line."""

    line: int
    e164: str
    key: str
    values: Sequence[str]


class Rejected(NamedTuple):
    """A row that does not, and why."""

    line: int
    column: str
    """Empty when the row as a whole is meant."""
    reason: RejectReason
    value: str
    """What stood there, after a colon's worth of explanation where the reason alone does not tell."""

    @classmethod
    def of(cls, line: int, column: str, reason: RejectReason, value: str) -> Rejected:
        """With the value cut to what is kept."""
        return cls(line, column, reason, value[:VALUE_MAX_CHARS])


class Audience(Protocol):
    """A file of people, read once from top to bottom. Used by one thread at a time."""

    @property
    def columns(self) -> Sequence[str]:
        """Distinct, non-empty names."""
        ...

    @property
    def size_bytes(self) -> int:
        """Of the file as it is stored."""
        ...

    @property
    def position_bytes(self) -> int:
        """How much of `size_bytes` has been read; may be asked from any thread."""
        ...

    def chunks(self) -> Iterator[Sequence[Row]]:
        """Bounded runs of rows in the order of the file. Raises BadValue where the file cannot be read on."""
        ...


def phone_column(columns: Sequence[str], wanted: str | None) -> str:
    """The column that holds the numbers: the one named, else the first of `PHONE_COLUMNS`. Raises BadValue."""
    if wanted is not None:
        _must_have(columns, [wanted])
        return wanted
    by_name = {column.casefold(): column for column in reversed(columns)}
    for name in PHONE_COLUMNS:
        if name in by_name:
            return by_name[name]
    raise BadValue(
        f"no column looks like phone numbers; the file has {_listed(columns)}. Nothing was imported",
        hint=f"say which column it is, or call it {PHONE_COLUMNS[0]}; the first line must hold the columns' names",
    )


Check: TypeAlias = Callable[[Sequence[str]], tuple[str, str] | None]
"""Looks at a person's values and names the first column at fault and what is wrong with it; None: all is well."""


class Sieve:
    """Parts people from rejected rows, by the rules of one campaign."""

    def __init__(
        self,
        header: Sequence[str],
        *,
        phone: str | None,
        columns: Sequence[str],
        default_region: str | None = None,
        required: Sequence[str] | None = None,
        check: Check | None = None,
    ) -> None:
        """Raises BadValue for a column that the file does not have, and for an unknown region.

        columns: those whose values people carry, in this order; surrounding blanks are not part of a value.
        default_region: the country of numbers without one, such as "GB".
        required: which of `columns` may not be empty; None means all of them.
        """
        if default_region is not None and not is_region(default_region):
            raise BadValue(
                f"{default_region!r} is no region. Nothing was imported",
                hint='a region is a country\'s two capital letters, such as "GB"',
            )
        _must_have(header, columns)
        must_be_filled = columns if required is None else required
        _must_have(columns, must_be_filled)
        self.phone = phone_column(header, phone)
        self._header = header
        self._columns = columns
        self._places = [header.index(column) for column in columns]
        self._required = [place for place, column in enumerate(columns) if column in must_be_filled]
        self._phone_place = header.index(self.phone)
        self._region = default_region
        self._check = check

    def sift(self, rows: Iterable[Row]) -> tuple[list[Person], list[Rejected]]:
        """Judge rows one by one, in order. Cost: about 4 µs for a clean row of three values."""
        people, rejected = [], []
        for line, fields in rows:
            verdict = self._judge(line, fields)
            if isinstance(verdict, Person):
                people.append(verdict)
            else:
                rejected.append(verdict)
        return people, rejected

    def _judge(self, line: int, fields: Sequence[str] | Unreadable) -> Person | Rejected:
        if isinstance(fields, Unreadable):
            return Rejected.of(line, fields.column, fields.reason, fields.value)
        if len(fields) != len(self._header):
            counted = f"{len(fields)} fields, the header has {len(self._header)}: {' | '.join(fields)}"
            return Rejected.of(line, "", RejectReason.WRONG_FIELD_COUNT, counted)
        raw = fields[self._phone_place]
        phone = parse_phone(raw, self._region)
        if isinstance(phone, BadPhone):
            return Rejected.of(line, self.phone, _NUMBER_REASONS[phone.reason], raw)
        if country := unreachable_country(phone.e164):
            return Rejected.of(line, self.phone, RejectReason.UNREACHABLE_COUNTRY, f"{country}: {raw}")
        values = [fields[place].strip() for place in self._places]
        if "" in values:
            for place in self._required:
                if not values[place]:
                    return Rejected.of(line, self._columns[place], RejectReason.MISSING_VALUE, "")
        if self._check is not None and (problem := self._check(values)) is not None:
            column, what = problem
            value = values[self._columns.index(column)] if column in self._columns else ""
            return Rejected.of(line, column, RejectReason.BAD_VALUE, f"{what}: {value}" if value else what)
        return Person(line, phone.e164, phone.key, values)


def _must_have(columns: Sequence[str], wanted: Iterable[str]) -> None:
    missing = [column for column in wanted if column not in columns]
    if missing:
        raise BadValue(
            f"there is no column {_listed(missing)}; the file has {_listed(columns)}. Nothing was imported",
            hint="write the name as it stands in the file's first line",
        )


def _listed(columns: Iterable[str]) -> str:
    return ", ".join(map(repr, columns))
