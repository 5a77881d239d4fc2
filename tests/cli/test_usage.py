"""The command line as such: help, versions, wrong usage, servers that are away."""

from __future__ import annotations

import socket
from importlib.metadata import version

import pytest

from dispatcher.cli.output import ExitCode

from .builders import Dispatch


@pytest.mark.parametrize(
    "arguments",
    [[], ["campaign"], ["senders"], ["templates"], ["message"], ["suppressions"]],
    ids=lambda arguments: " ".join(arguments) or "dispatch",
)
def test_a_family_alone_shows_its_help(typed: Dispatch, arguments: list[str]) -> None:
    said = typed(*arguments)
    assert said.code == 0
    assert "Usage: dispatch" in said.out


def test_the_version_is_that_of_the_package(typed: Dispatch) -> None:
    assert typed("--version").out == f"dispatch {version('whatsapp-dispatcher')}\n"
    assert typed("--version", "--json").json == {"version": version("whatsapp-dispatcher")}


@pytest.mark.parametrize(
    "arguments",
    [
        ["bogus"],
        ["campaign", "bogus"],
        ["campaign", "show"],
        ["campaign", "show", "one"],
        ["campaign", "show", "0"],
        ["campaign", "show", str(2**63)],
        ["campaign", "list", "--bogus"],
        ["send", "people.csv"],
        ["senders", "set", "shop", "--status", "HAPPY"],
        ["up", "--processes", "0"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_one_message_with_a_way_to_the_help(typed: Dispatch, arguments: list[str]) -> None:
    said = typed(*arguments)
    assert (said.code, said.out) == (ExitCode.WRONG, "")
    assert said.err.startswith("error: ")
    assert "--help`" in said.err
    answered = typed("--json", *arguments)
    assert answered.code == ExitCode.WRONG
    assert answered.error["kind"] == "usage"
    assert answered.error["message"] in said.err


def test_json_is_understood_before_and_after_the_command(dispatch: Dispatch) -> None:
    assert dispatch("--json", "campaign", "list").json == {"campaigns": []}
    assert dispatch("campaign", "list", "--json").json == {"campaigns": []}


def test_no_command_at_all_is_answered_in_json_too(typed: Dispatch) -> None:
    said = typed("--json")
    assert said.code == ExitCode.WRONG
    assert said.error["kind"] == "bad_value"


@pytest.fixture
def closed_port() -> int:
    """A port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def test_a_ledger_that_is_away_is_told_with_its_own_exit_code(
    dispatch: Dispatch, monkeypatch: pytest.MonkeyPatch, closed_port: int
) -> None:
    monkeypatch.setenv("DISPATCHER_DATABASE_URL", f"postgresql://nobody@127.0.0.1:{closed_port}/none")
    said = dispatch("campaign", "list", "--json")
    assert said.code == ExitCode.AWAY
    assert said.error["kind"] == "ledger_unavailable"
    assert "dispatch doctor" in said.error["hint"]


def test_a_redis_that_is_away_is_told_with_its_own_exit_code(
    dispatch: Dispatch, monkeypatch: pytest.MonkeyPatch, closed_port: int
) -> None:
    monkeypatch.setenv("DISPATCHER_REDIS_URL", f"redis://127.0.0.1:{closed_port}/0")
    said = dispatch("campaign", "list", "--json")
    assert said.code == ExitCode.AWAY
    assert said.error["kind"] == "limits_unavailable"


def test_half_a_configuration_is_wrong(dispatch: Dispatch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPATCHER_REDIS_URL")
    said = dispatch("campaign", "list")
    assert said.code == ExitCode.WRONG
    assert "set both" in said.err


def test_every_wrong_setting_is_named(dispatch: Dispatch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPATCHER_SLICE_S", "never")
    monkeypatch.setenv("DISPATCHER_IN_FLIGHT", "-3")
    said = dispatch("campaign", "list", "--json")
    assert said.code == ExitCode.WRONG
    assert {problem.partition(":")[0] for problem in said.error["problems"]} == {"slice_s", "in_flight"}


def test_a_worker_needs_servers_that_run(typed: Dispatch, monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setenv("DISPATCHER_DATA_DIR", str(tmp_path / "nothing"))
    said = typed("worker", "--role", "lanes")
    assert said.code == ExitCode.WRONG
    assert "dispatch up" in said.err


def test_migrating_twice_changes_nothing(dispatch: Dispatch) -> None:
    assert dispatch("migrate", "--json").json == {"applied": []}
    assert "up to date" in dispatch("migrate").out
