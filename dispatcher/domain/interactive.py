"""Interactive replies: a text with buttons, a list to choose from, or a button that opens a link.

What the person presses comes back as an inbound message with the id given here, so ids must tell the choices apart.
Source: Meta, "Interactive reply buttons", "Interactive lists" and "Call-to-action URL button messages", read 2026-09.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from dispatcher.domain.content import Problem, is_link, problem_with_media, problem_with_text

BODY_CHARS_MAX = 1024
LIST_BODY_CHARS_MAX = 4096
HEADER_CHARS_MAX = 60
FOOTER_CHARS_MAX = 60
LABEL_CHARS_MAX = 20
"""Of a button, also of the one that opens a list or a link."""
BUTTONS_MAX = 3
BUTTON_ID_CHARS_MAX = 256
ROWS_MAX = 10
"""Over all sections; so there are no more sections either."""
SECTION_CHARS_MAX = 24
ROW_ID_CHARS_MAX = 200
ROW_TITLE_CHARS_MAX = 24
ROW_TEXT_CHARS_MAX = 72
_HEADER_MEDIA = ("image", "video", "document")


@dataclass(frozen=True, slots=True)
class Button:
    """A reply button; its id comes back when it is pressed."""

    id: str
    title: str


@dataclass(frozen=True, slots=True)
class HeaderMedia:
    """A picture, film or file above the text."""

    kind: str
    """image, video or document."""
    source: str
    """The id of an upload, or an http(s) link."""
    filename: str | None = None
    """Of a file."""


@dataclass(frozen=True, slots=True)
class Buttons:
    """A text with one to three buttons."""

    body: str
    buttons: Sequence[Button]
    header: str | HeaderMedia | None = None
    footer: str | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """A choice in a list; its id comes back when it is chosen."""

    id: str
    title: str
    description: str | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """Choices under a title, which only a list's sole section may lack."""

    rows: Sequence[Row]
    title: str | None = None


@dataclass(frozen=True, slots=True)
class Choices:
    """A text with a button that opens a list; at most ten rows over all sections."""

    body: str
    label: str
    """Of the button that opens the list."""
    sections: Sequence[Section]
    header: str | None = None
    footer: str | None = None


@dataclass(frozen=True, slots=True)
class Link:
    """A text with a button that opens an http(s) link."""

    body: str
    label: str
    url: str
    header: str | HeaderMedia | None = None
    footer: str | None = None


Interactive: TypeAlias = Buttons | Choices | Link


def problem_with_interactive(content: Interactive) -> Problem | None:
    """The first limit of Meta that it breaks, or None."""
    match content:
        case Buttons():
            return _problem_with_buttons(content)
        case Choices():
            return _problem_with_choices(content)
        case Link(body=body, label=label, url=url):
            if not is_link(url):
                return Problem("url", "is not an http(s) link")
            checks = [
                problem_with_text("body", body, BODY_CHARS_MAX),
                problem_with_text("label", label, LABEL_CHARS_MAX),
                _problem_with_header(content.header),
                problem_with_text("footer", content.footer, FOOTER_CHARS_MAX),
            ]
            return _first(checks)


def _problem_with_buttons(content: Buttons) -> Problem | None:
    if not 1 <= len(content.buttons) <= BUTTONS_MAX:
        return Problem("buttons", f"are {len(content.buttons)}; 1 to {BUTTONS_MAX} are allowed")
    checks = [
        problem_with_text("body", content.body, BODY_CHARS_MAX),
        _problem_with_header(content.header),
        problem_with_text("footer", content.footer, FOOTER_CHARS_MAX),
    ]
    for n, button in enumerate(content.buttons, 1):
        checks += [
            problem_with_text(f"buttons.{n}.id", button.id, BUTTON_ID_CHARS_MAX),
            problem_with_text(f"buttons.{n}.title", button.title, LABEL_CHARS_MAX),
        ]
    return _first(checks) or _problem_with_ids("buttons", [button.id for button in content.buttons])


def _problem_with_choices(content: Choices) -> Problem | None:
    rows = [row for section in content.sections for row in section.rows]
    if not 1 <= len(rows) <= ROWS_MAX:
        return Problem("sections", f"have {len(rows)} rows together; 1 to {ROWS_MAX} are allowed")
    checks = [
        problem_with_text("body", content.body, LIST_BODY_CHARS_MAX),
        problem_with_text("label", content.label, LABEL_CHARS_MAX),
        problem_with_text("header", content.header, HEADER_CHARS_MAX),
        problem_with_text("footer", content.footer, FOOTER_CHARS_MAX),
    ]
    for n, section in enumerate(content.sections, 1):
        where = f"sections.{n}"
        if not section.rows:
            return Problem(where, "has no rows")
        if section.title is None and len(content.sections) > 1:
            return Problem(f"{where}.title", "is missing; only a list's sole section may go without")
        checks.append(problem_with_text(f"{where}.title", section.title, SECTION_CHARS_MAX))
        for m, row in enumerate(section.rows, 1):
            checks += [
                problem_with_text(f"{where}.rows.{m}.id", row.id, ROW_ID_CHARS_MAX),
                problem_with_text(f"{where}.rows.{m}.title", row.title, ROW_TITLE_CHARS_MAX),
                problem_with_text(f"{where}.rows.{m}.description", row.description, ROW_TEXT_CHARS_MAX),
            ]
    return _first(checks) or _problem_with_ids("sections", [row.id for row in rows])


def _problem_with_header(header: str | HeaderMedia | None) -> Problem | None:
    if not isinstance(header, HeaderMedia):
        return problem_with_text("header", header, HEADER_CHARS_MAX)
    if header.kind not in _HEADER_MEDIA:
        return Problem("header", f"{header.kind} cannot stand above a text; use {', '.join(_HEADER_MEDIA)}")
    if header.filename is not None and header.kind != "document":
        return Problem("header", f"{header.kind} has no file name")
    problem = problem_with_media(header.source)
    return Problem("header", problem) if problem else None


def _problem_with_ids(field: str, ids: Sequence[str]) -> Problem | None:
    """An answer brings the id alone, so two choices of one id could not be told apart."""
    twice = next((id_ for n, id_ in enumerate(ids) if id_ in ids[:n]), None)
    return None if twice is None else Problem(field, f"have the id {twice!r} twice")


def _first(problems: Sequence[Problem | None]) -> Problem | None:
    return next((problem for problem in problems if problem is not None), None)
