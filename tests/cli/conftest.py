"""The command line as somebody uses it: `dispatch("senders", "list")` answers with exit code and both outputs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from dispatcher.cli import run
from dispatcher.processes import start_sandbox

from .builders import TOKEN, WORLD, Dispatch, Said, Write, a_sender


@pytest.fixture
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of whoever runs the tests, and a folder of the test's own."""
    for name in [name for name in os.environ if name.startswith("DISPATCHER_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("SHOP_TOKEN", TOKEN)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def configured(
    clean_environment: None, database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Servers of the test run, an empty ledger."""
    monkeypatch.setenv("DISPATCHER_DATABASE_URL", database_url)
    monkeypatch.setenv("DISPATCHER_REDIS_URL", redis_url)


@pytest.fixture
def typed(clean_environment: None, capsys: pytest.CaptureFixture[str]) -> Dispatch:
    """Runs a command line; servers are up to the test."""

    def dispatch(*arguments: object) -> Said:
        code = run([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return Said(code, out, err)

    return dispatch


@pytest.fixture
def dispatch(configured: None, typed: Dispatch) -> Dispatch:
    """Runs a command line against the servers of the test run."""
    return typed


@pytest.fixture(scope="session")
def sandbox_url() -> Iterator[str]:
    """A sandbox in its own process."""
    leash, url = start_sandbox(WORLD, 0)
    with leash:
        yield url


@pytest.fixture
def with_sender(dispatch: Dispatch, sandbox_url: str, monkeypatch: pytest.MonkeyPatch) -> Dispatch:
    """A ledger with the sender "shop", whose account's templates are known."""
    monkeypatch.setenv("DISPATCHER_GRAPH_URL", sandbox_url)
    assert dispatch(*a_sender("shop")).code == 0
    assert dispatch("templates", "sync").code == 0
    return dispatch


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a file of the given content, such as `write("phone\\n+12025550101\\n")`."""

    def write(content: str | bytes, name: str = "people.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write
