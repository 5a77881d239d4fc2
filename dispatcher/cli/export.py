"""Writes everybody of a campaign to a file, as a stream: CSV or NDJSON.

Invariant: a file that bears the wanted name is complete, and none is overwritten unless that was asked for.
"""

from __future__ import annotations

import csv
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

import orjson

from dispatcher.domain.errors import BadValue

COLUMNS = (
    "line",
    "phone",
    "state",
    "reason",
    "code",
    "detail",
    "sender",
    "attempt",
    "posted_at",
    "wamid",
    "message_id",
    "receipt",
    "delivered_at",
    "read_at",
    "receipt_code",
)
"""Of a CSV file. Rejected rows stand among the people, in the order of the audience file."""

Rows = Iterable[Mapping[str, Any]]


async def export(chunks: AsyncIterator[Sequence[Mapping[str, Any]]], path: Path, *, force: bool) -> int:
    """Write all rows; returns how many. Raises BadValue for a name that is taken, unusable or of no known kind."""
    rows = 0
    with _whole_file(path, force=force) as write:
        async for chunk in chunks:
            write(chunk)
            rows += len(chunk)
    return rows


@contextmanager
def _whole_file(path: Path, *, force: bool) -> Iterator[Callable[[Rows], None]]:
    """A file under another name, which gets its own when it is complete."""
    start, write = _writer(path)
    if path.exists() and not force:
        raise BadValue(
            f"{path} exists already; nothing was written", hint="choose another name, or add --force"
        )
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        with unfinished.open("w", encoding="utf-8", newline="") as file:
            start(file)
            yield lambda rows: write(file, rows)
        unfinished.replace(path)
    except OSError as error:
        raise BadValue(f"{path} cannot be written: {error.strerror}; no file was left") from error
    finally:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)


def _writer(path: Path) -> tuple[Callable[[TextIO], None], Callable[[TextIO, Rows], None]]:
    match path.suffix.lower():
        case ".csv":
            return _write_csv_header, _write_csv
        case ".ndjson" | ".jsonl":
            return lambda _: None, _write_ndjson
        case _:
            raise BadValue(f"{path} is neither .csv nor .ndjson; nothing was written")


def _write_csv_header(file: TextIO) -> None:
    csv.writer(file).writerow(COLUMNS)


def _write_csv(file: TextIO, rows: Rows) -> None:
    csv.writer(file).writerows([[_text(row[column]) for column in COLUMNS] for row in rows])


def _write_ndjson(file: TextIO, rows: Rows) -> None:
    file.writelines(orjson.dumps(dict(row)).decode() + "\n" for row in rows)


def _text(value: object) -> object:
    return value.isoformat() if hasattr(value, "isoformat") else value
