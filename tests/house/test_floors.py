"""The house stands: imports point down, tools stay in their homes, files stay readable."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LINES_MAX = 400
SOURCES = sorted(path for folder in ("dispatcher", "workers") for path in (ROOT / folder).rglob("*.py"))
RULED_BY_PORTS = ("domain", "engine", "ledger", "limits", "channel", "queues", "telemetry.py", "app.py")


def test_imports_keep_to_the_contracts() -> None:
    """The contracts stand in pyproject.toml; the same check is part of `make check`."""
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_every_file_can_be_read_in_one_go() -> None:
    lengths = {_name(path): len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES}
    assert {name: lines for name, lines in lengths.items() if lines > LINES_MAX} == {}


def test_every_file_opens_with_its_job() -> None:
    texts = {_name(path): path.read_text(encoding="utf-8").strip() for path in SOURCES}
    assert [name for name, text in texts.items() if text and not text.startswith('"""')] == []


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _files_with(pattern: str, *homes: str) -> set[str]:
    wanted = re.compile(pattern)
    found = {_name(path) for path in SOURCES if wanted.search(path.read_text(encoding="utf-8"))}
    return {name for name in found if not name.startswith(homes)}


def test_only_settings_read_the_environment() -> None:
    """`places` follows the operating system's conventions (XDG); handing the whole environment on is not reading it."""
    reads = r"os\.getenv|os\.environ(?!,)"
    assert _files_with(reads, "dispatcher/settings.py", "dispatcher/embedded/places.py") == set()


def test_only_the_clock_reads_the_clock() -> None:
    """Where time is a rule it can be moved; whoever starts processes may look at his watch."""
    reads = r"\btime\.(time|monotonic|perf_counter)\b|datetime\.(now|utcnow|today)\("
    ruled = tuple(f"dispatcher/{name}" for name in RULED_BY_PORTS)
    assert {name for name in _files_with(reads, "dispatcher/clock.py") if name.startswith(ruled)} == set()
