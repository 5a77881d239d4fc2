"""How a command speaks: text for people, or exactly one JSON object; and the one path that errors take.

Answers go to standard output, everything else to standard error. With ``--json`` standard output carries one object as
its only line, also when the command fails. Exit codes are promised here and nowhere else.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum
from typing import Any

import orjson
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text
from typer import TyperException

from dispatcher.domain.errors import (
    BadValue,
    ChannelRefused,
    ChannelUnavailable,
    Conflict,
    DispatcherError,
    LedgerUnavailable,
    LimitsUnavailable,
    NotFound,
)
from dispatcher.embedded import EmbeddedError

PIPE_WIDTH = 240
"""Characters per line where nobody's terminal sets a limit, so that tables are not cut."""


class ExitCode(IntEnum):
    """What a command's exit code means; the same for every command."""

    DONE = 0
    """Done, and all is well."""
    NO = 1
    """Done, but the answer is no: faults were found, people are unsure or still wait, nothing can be sent now."""
    WRONG = 2
    """What was asked cannot be: a wrong argument, name, file or state. Nothing was changed."""
    AWAY = 3
    """Something that is needed is away: PostgreSQL, Redis, Meta."""
    INTERRUPTED = 130
    """Ctrl-C."""


class Interrupted(DispatcherError):
    """Ctrl-C; the text says what was left, the hint how to go on."""


_ERRORS: Sequence[tuple[type[Exception], str, ExitCode]] = (
    (BadValue, "bad_value", ExitCode.WRONG),
    (NotFound, "not_found", ExitCode.WRONG),
    (Conflict, "conflict", ExitCode.WRONG),
    (LimitsUnavailable, "limits_unavailable", ExitCode.AWAY),
    (LedgerUnavailable, "ledger_unavailable", ExitCode.AWAY),
    (ChannelUnavailable, "channel_unavailable", ExitCode.AWAY),
    (ChannelRefused, "channel_refused", ExitCode.AWAY),
    (EmbeddedError, "servers_unavailable", ExitCode.AWAY),
    (Interrupted, "interrupted", ExitCode.INTERRUPTED),
    (TyperException, "usage", ExitCode.WRONG),
)
EXPECTED = tuple(kind for kind, _, _ in _ERRORS)
"""Errors that are told to people; any other is a defect and keeps its traceback."""


class Output:
    """Where one command speaks."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self._console = _console(sys.stdout)
        self.errors = _console(sys.stderr)

    @property
    def is_live(self) -> bool:
        """Whether progress may be drawn: standard error is a terminal."""
        return self.errors.is_terminal

    def answer(self, data: Mapping[str, Any], *texts: RenderableType) -> None:
        """The command's result, once per command: `data` for machines or `texts` for people."""
        if self.as_json:
            self._write_json(data)
        else:
            for text in texts:
                self._console.print(text, soft_wrap=isinstance(text, str))

    def note(self, text: str, *, style: str = "") -> None:
        """Something that people should know beside the result; on standard error."""
        if not self.as_json or self.is_live:
            self.errors.print(Text(text, style), soft_wrap=True)

    def warn(self, text: str) -> None:
        """A note that should not be overlooked."""
        self.note(f"warning: {text}", style="yellow")

    def fail(self, error: Exception) -> int:
        """Tell an expected error: what happened, every problem, what one can do. Returns the exit code."""
        kind, code = next((kind, code) for cls, kind, code in _ERRORS if isinstance(error, cls))
        message = error.format_message() if isinstance(error, TyperException) else str(error)
        hint = error.hint if isinstance(error, DispatcherError) else _usage_hint(error)
        problems = error.problems if isinstance(error, BadValue) else ()
        if self.as_json:
            self._write_json(
                {"error": {"kind": kind, "message": message, "hint": hint, "problems": problems}}
            )
            return code
        opening = "" if isinstance(error, Interrupted) else "error: "
        self.errors.print(Text.assemble((opening, "bold red"), message), soft_wrap=True)
        for problem in problems:
            self.errors.print(Text(f"  - {problem}"), soft_wrap=True)
        if hint:
            self.errors.print(Text(hint, "dim" if opening else ""), soft_wrap=True)
        return code

    def _write_json(self, data: Mapping[str, Any]) -> None:
        sys.stdout.write(orjson.dumps(data, default=str, option=orjson.OPT_NON_STR_KEYS).decode() + "\n")
        sys.stdout.flush()


def _console(file: Any) -> Console:
    console = Console(file=file, markup=False, highlight=False, emoji=False)
    if not console.is_terminal:
        console.width = PIPE_WIDTH
    return console


def _usage_hint(error: Exception) -> str | None:
    ctx = getattr(error, "ctx", None)
    return f"try `{ctx.command_path} --help`" if ctx is not None else None


def table(columns: Iterable[str], rows: Iterable[Sequence[object]]) -> Table:
    """Rows for people: numbers to the right, None as a dash, no header where no column has a name."""
    columns, rows = list(columns), [tuple(row) for row in rows]
    made = Table(show_header=any(columns), header_style="bold", box=None, pad_edge=False)
    for place, column in enumerate(columns):
        is_number = bool(rows) and all(isinstance(row[place], int | float | None) for row in rows)
        made.add_column(column, justify="right" if is_number else "left", overflow="fold")
    for row in rows:
        made.add_row(*(cell_of(value) for value in row))
    return made


def cell_of(value: object) -> str:
    """One value for people."""
    match value:
        case None | "":
            return "-"
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case _:
            return str(value)
