"""What is checked in works everywhere: no paths of one machine, no registries, exact versions with hashes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_SKIPPED = re.compile(
    r"(^|/)(\.venv|\.git|\.\w+_cache|\.hypothesis|__pycache__|node_modules|dist)(/|$)|\.pyc$"
)
_TEXTS = {".py", ".sql", ".lua", ".md", ".toml", ".lock", ".csv", ".example", ".yml", ".yaml", ""}
# Written in pieces, so that this file is not found by itself.
_FOREIGN = re.compile("/" + "work/|/" + "root/")
_REGISTRY = re.compile(
    "pypi" + r"\.org|python" + r"hosted\.org|--(extra-)?index" + r"-url[ =]http|--find-" + "links"
)


def _files() -> Iterator[tuple[str, str]]:
    for path in sorted(ROOT.rglob("*")):
        name = str(path.relative_to(ROOT))
        if path.suffix in _TEXTS and not _SKIPPED.search(name) and path.is_file():
            yield name, path.read_text(encoding="utf-8", errors="replace")


def _lines_with(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{name}:{number}: {line.strip()}"
        for name, text in _files()
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]


def test_no_file_knows_the_machine_it_was_written_on() -> None:
    assert _lines_with(_FOREIGN) == []


def test_no_file_names_a_registry() -> None:
    """Which index packages come from is the business of whoever installs them."""
    assert _lines_with(_REGISTRY) == []


def test_every_locked_version_is_exact_and_hashed() -> None:
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8").replace("\\\n", " ")
    assert [line for line in text.splitlines() if "==" not in line or "--hash=sha256:" not in line] == []


def test_the_licence_is_apache_2() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text
    assert "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text
