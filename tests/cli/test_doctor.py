"""What the doctor finds, and that it goes on after a failure."""

from __future__ import annotations

import pytest

from dispatcher.cli.output import ExitCode

from .builders import Dispatch, a_sender


def findings(said) -> dict[str, dict[str, str]]:
    return {finding["what"]: finding for finding in said.json["findings"]}


def test_a_healthy_house_has_warnings_at_most(with_sender: Dispatch) -> None:
    said = with_sender("doctor", "--json")
    assert said.code == 0
    found = findings(said)
    assert found["PostgreSQL"]["level"] == found["Redis"]["level"] == found["Meta"]["level"] == "ok"
    assert found["workers"]["level"] == "warn"
    assert found["sender shop"]["level"] == "ok"
    assert "PostgreSQL" in with_sender("doctor").out


def test_what_is_away_fails_and_the_rest_is_looked_at_all_the_same(
    dispatch: Dispatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISPATCHER_DATABASE_URL", "postgresql://me:pa55word@127.0.0.1:1/none")
    said = dispatch("doctor", "--json")
    assert said.code == ExitCode.NO
    found = findings(said)
    assert (found["PostgreSQL"]["level"], found["Redis"]["level"]) == ("fail", "ok")
    assert found["PostgreSQL"]["advice"]
    assert "pa55word" not in said.out
    assert said.json["settings"]["database_url"]["source"] == "environment"


def test_a_sender_whose_token_cannot_be_read_is_named(dispatch: Dispatch, sandbox_url, monkeypatch) -> None:
    monkeypatch.setenv("DISPATCHER_GRAPH_URL", sandbox_url)
    dispatch(*a_sender("shop", token_env="NOT_SET"))
    dispatch(*a_sender("old", number=4, status="BANNED"))
    found = findings(dispatch("doctor", "--json"))
    assert "NOT_SET" in found["sender shop"]["text"]
    assert "BANNED" in found["sender old"]["text"]


def test_a_meta_that_cannot_be_reached_is_a_warning(dispatch: Dispatch, monkeypatch) -> None:
    monkeypatch.setenv("DISPATCHER_GRAPH_URL", "http://127.0.0.1:1")
    said = dispatch("doctor", "--json")
    assert said.code == 0
    assert findings(said)["Meta"]["level"] == "warn"
