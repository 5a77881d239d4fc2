"""Reads an audience from a file: CSV or NDJSON, plain or gzipped, row by row.

What a row is worth is left to `domain/audience.py`. A fault of the file (broken quotes, broken encoding, a header that
does not name its columns) ends the reading with BadValue; a fault of one row stays with that row.
Invariant: never more than one chunk in memory, and each row knows the line in which it starts.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from dispatcher.domain.audience import RejectReason, Row, Unreadable
from dispatcher.domain.errors import BadValue
from dispatcher.engine.lines import Lines

CHUNK_ROWS = 10_000
CHUNK_BYTES = 4 * 2**20
"""A chunk ends at whichever comes first; its memory is a small multiple of this."""

DELIMITERS = (",", ";", "\t")
"""Those that are found without being named; in doubt the first."""

_JSON_SUFFIXES = {".ndjson", ".jsonl", ".json"}
_NOT_STORABLE = re.compile("[\0\ud800-\udfff]")


def open_audience(
    path: Path,
    *,
    encoding: str | None = None,
    delimiter: str | None = None,
    columns: Sequence[str] | None = None,
) -> AudienceFile:
    """Open a file and read its header.

    encoding: announces anything but UTF-8 and UTF-16 with byte order mark, for instance "cp1252".
    delimiter: the character between two fields of a CSV file; None: comma, semicolon or tab, as the header has it.
    columns: those of an NDJSON file, whatever its first line has; None: those of its first line.
    Raises BadValue.
    """
    return AudienceFile(path, encoding, delimiter, columns)


class AudienceFile:
    """The port `Audience` on a file. Close it, or use it in a `with` block."""

    def __init__(
        self, path: Path, encoding: str | None, delimiter: str | None, columns: Sequence[str] | None = None
    ) -> None:
        self._lines = Lines(path, encoding)
        try:
            lines = iter(self._lines)
            start, head = _head(path.name, lines)
            if _JSON_SUFFIXES & set(path.suffixes) or head.lstrip().startswith(("{", "[")):
                self.columns, self._rows = _open_ndjson(path.name, start, head, lines, columns)
            else:
                self.columns, self._rows = _open_csv(path.name, start, head, lines, delimiter)
        except BaseException:
            self.close()
            raise

    @property
    def size_bytes(self) -> int:
        return self._lines.size_bytes

    @property
    def position_bytes(self) -> int:
        return self._lines.position_bytes

    def chunks(self) -> Iterator[Sequence[Row]]:
        """Raises BadValue where the file cannot be read on, and when nothing follows the header."""
        chunk: list[Row] = []
        is_empty = True
        end_bytes = self._lines.decoded_bytes + CHUNK_BYTES
        for row in self._rows:
            chunk.append(row)
            if len(chunk) >= CHUNK_ROWS or self._lines.decoded_bytes >= end_bytes:
                yield chunk
                chunk, is_empty = [], False
                end_bytes = self._lines.decoded_bytes + CHUNK_BYTES
        if chunk:
            yield chunk
        elif is_empty:
            raise BadValue(
                f"{self._lines.name} has a header and no rows. Nothing was imported",
                hint="was the export complete?",
            )

    def close(self) -> None:
        """Idempotent."""
        self._lines.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _head(name: str, lines: Iterable[str]) -> tuple[int, str]:
    """The first line that is not blank, with its number."""
    for number, line in enumerate(lines, 1):
        if line.strip():
            return number, line
    raise BadValue(f"{name} is empty. Nothing was imported", hint="is it the right file?")


def _open_csv(
    name: str, start: int, head: str, lines: Iterable[str], delimiter: str | None
) -> tuple[Sequence[str], Iterator[Row]]:
    if delimiter is None:
        delimiter = _sniffed(head)
    elif len(delimiter) != 1 or delimiter in '"\r\n ':
        raise BadValue(
            f"{delimiter!r} cannot part fields. Nothing was imported", hint="one character, for instance ;"
        )
    rows = _csv_rows(name, start, chain([head], lines), delimiter)
    _, header = next(rows)
    columns = [cell.strip() for cell in header]
    _check_names(name, columns)
    return columns, rows


def _sniffed(header: str) -> str:
    outside_quotes = re.sub(r'"[^"]*"?', "", header)
    return max(DELIMITERS, key=outside_quotes.count)


def _check_names(name: str, columns: Sequence[str]) -> None:
    problems = [f"column {place} has no name" for place, column in enumerate(columns, 1) if not column]
    repeated = sorted({column for column in columns if column and columns.count(column) > 1})
    problems += [f"{columns.count(column)} columns are called {column!r}" for column in repeated]
    if problems:
        raise BadValue(
            f"{name}: the header is not usable: {'; '.join(problems)}. Nothing was imported",
            hint="give each column a name of its own in the first line",
            problems=problems,
        )


def _csv_rows(name: str, start: int, lines: Iterable[str], delimiter: str) -> Iterator[tuple[int, list[str]]]:
    # why strict: a quote that is never closed would swallow the rows behind it without a word.
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    line = start
    try:
        for row in reader:
            if row:
                yield line, row
            line = start + reader.line_num
    except csv.Error as error:
        raise BadValue(
            f"{name}: the row that starts in line {line} cannot be read: {error}. Nothing was imported",
            hint="is a quote opened and never closed? A quote inside a quoted field is written twice",
        ) from error


def _open_ndjson(
    name: str, start: int, head: str, lines: Iterable[str], columns: Sequence[str] | None
) -> tuple[Sequence[str], Iterator[Row]]:
    if columns is not None:
        return columns, _ndjson_rows(columns, start, chain([head], lines))
    first = _object(head)
    if not first:
        raise BadValue(
            f"{name}: line {start} is not one JSON object with names and values. Nothing was imported",
            hint="NDJSON has one object on each line, no list around them and no commas between them",
        )
    columns = list(first)
    if not all(column.strip() and not _NOT_STORABLE.search(column) for column in columns):
        raise BadValue(f"{name}: a name in line {start} is empty or not text. Nothing was imported")
    return columns, _ndjson_rows(columns, start, chain([head], lines))


def _ndjson_rows(columns: Sequence[str], start: int, lines: Iterable[str]) -> Iterator[Row]:
    for number, line in enumerate(lines, start):
        if not line.isspace():
            yield number, _fields(columns, line)


def _fields(columns: Sequence[str], line: str) -> Sequence[str] | Unreadable:
    found = _object(line)
    if found is None:
        return Unreadable("", RejectReason.NOT_AN_OBJECT, _NOT_STORABLE.sub("�", line.strip()))
    # why asked: JSON can write what neither UTF-8 nor PostgreSQL can hold, but only in this way.
    return fields_of(found, columns, has_escapes="\\u" in line)


def fields_of(
    found: Mapping[str, object], columns: Sequence[str], *, has_escapes: bool
) -> Sequence[str] | Unreadable:
    """The texts of one JSON object whose numbers were read as texts; what is not there is empty."""
    fields = []
    for column in columns:
        value = found.get(column)
        match value:
            case str():
                if has_escapes and _NOT_STORABLE.search(value):
                    return Unreadable(column, RejectReason.BAD_VALUE, _NOT_STORABLE.sub("�", value))
                fields.append(value)
            case None:
                fields.append("")
            case bool():
                fields.append("true" if value else "false")
            case _:
                return Unreadable(column, RejectReason.NESTED_VALUE, json.dumps(value))
    return fields


def _object(line: str) -> dict[str, Any] | None:
    try:
        # why as text: 1.10 is what the file says, and 1.1 is not.
        found = json.loads(line, parse_int=str, parse_float=str, parse_constant=str)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
