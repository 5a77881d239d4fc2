"""The docs tell the truth: generated parts are up to date, and every command, target and link in them exists."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from enum import Enum
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any, TypeGuard

import pytest
from typer.main import get_command

from dispatcher import domain
from dispatcher.cli import root
from dispatcher.domain.hold import LIFTED_BY, HoldReason

from .generated import DOCS, ROOT, SECTIONS, docs_of, refreshed, sections_in

PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]
_FENCED = re.compile(r"```(?:sh|console)\n(.*?)```", re.DOTALL)
_INLINE = re.compile(r"`(dispatch [^`]+)`")


def _id(path: Path) -> str:
    return path.name


def _commands(text: str) -> Iterator[list[str]]:
    """Every `dispatch …` of a page, as words; lines that end with a backslash are joined."""
    blocks = "\n".join(_FENCED.findall(text)).replace("\\\n", " ")
    lines = [line.strip() for line in blocks.splitlines()] + _INLINE.findall(text)
    for line in lines:
        line = line.removeprefix("$ ")
        # why asked first: a line may be the middle of somebody else's quoted text.
        if line.partition(" ")[0].split("/")[-1] == "dispatch":
            yield shlex.split(line, comments=True)[1:]


def _problem(words: list[str]) -> str | None:
    """What the command line has not got of these words; placeholders and values are not looked at."""
    here: Any = get_command(root)  # typer's own classes: a group has `commands`, a command `params`
    names: list[str] = []
    while words and not words[0].startswith("-") and (commands := getattr(here, "commands", None)):
        names.append(words[0])
        if words[0] not in commands:
            return f"there is no `dispatch {' '.join(names)}`"
        here, words = commands[words[0]], words[1:]
    known = {option for each in here.params for option in (*each.opts, *each.secondary_opts)} | {"--help"}
    unknown = [word for word in words if word.startswith("--") and word.split("=")[0] not in known]
    return f"`dispatch {' '.join(names)}` has no {', '.join(unknown)}" if unknown else None


@pytest.mark.parametrize("page", PAGES, ids=_id)
def test_generated_parts_are_up_to_date(page: Path) -> None:
    """`make docs` brings them up to date."""
    text = page.read_text(encoding="utf-8")
    assert refreshed(text) == text


def test_every_generated_part_is_shown_somewhere() -> None:
    shown = [name for page in PAGES for name in sections_in(page.read_text(encoding="utf-8"))]
    assert sorted(shown) == sorted(SECTIONS)


@pytest.mark.parametrize("page", PAGES, ids=_id)
def test_commands_in_the_docs_exist(page: Path) -> None:
    found = [_problem(words) for words in _commands(page.read_text(encoding="utf-8"))]
    assert [problem for problem in found if problem] == []


@pytest.mark.parametrize("page", PAGES, ids=_id)
def test_make_targets_in_the_docs_exist(page: Path) -> None:
    targets = set(re.findall(r"^(\w+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    text = page.read_text(encoding="utf-8")
    named = set(re.findall(r"`make (\w+)", text))
    named |= set(re.findall(r"^(?:\$ )?make (\w+)", "\n".join(_FENCED.findall(text)), re.MULTILINE))
    assert named <= targets


@pytest.mark.parametrize("page", PAGES, ids=_id)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_readme_names_both_commands_and_ci_runs_them() -> None:
    readme, ci = (ROOT / "README.md").read_text(encoding="utf-8"), (ROOT / ".ci/run").read_text()
    assert "make demo" in readme
    assert "make test" in readme
    assert "step make check" in ci
    assert "step make test" in ci
    assert os.access(ROOT / ".ci/run", os.X_OK)


def test_every_page_is_reachable_from_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [page.name for page in PAGES[1:] if f"docs/{page.name}" not in readme] == []


def test_every_hold_says_what_it_is_and_what_ends_it() -> None:
    assert all(docs_of(HoldReason).values())
    assert LIFTED_BY.keys() == set(HoldReason)
    assert all(LIFTED_BY.values())


def _vocabularies() -> list[type[Enum]]:
    modules = [import_module(f"dispatcher.domain.{each.name}") for each in iter_modules(domain.__path__)]
    found = {each for module in modules for each in vars(module).values() if _is_vocabulary(each)}
    return sorted(found, key=lambda each: (each.__module__, each.__name__))


def _is_vocabulary(each: object) -> TypeGuard[type[Enum]]:
    return isinstance(each, type) and issubclass(each, Enum) and each.__module__.startswith(domain.__name__)


@pytest.mark.parametrize("vocabulary", _vocabularies(), ids=lambda each: each.__name__)
def test_every_member_of_a_vocabulary_is_explained(vocabulary: type[Enum]) -> None:
    docs = docs_of(vocabulary)
    assert [member.name for member in vocabulary if not docs.get(member.name)] == []
