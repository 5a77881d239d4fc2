"""Keys, sealed tokens and the audit log by hand."""

from __future__ import annotations

import io
import re

import pytest

from dispatcher.cli.output import ExitCode

from .builders import ANN, TOKEN, Dispatch, a_sender


def test_a_key_is_shown_once_and_then_only_by_its_prefix(dispatch: Dispatch) -> None:
    said = dispatch("keys", "create", "shop", "--scope", "read", "--scope", "campaigns:write", "--days", 30)
    key = said.out.strip()
    assert re.fullmatch(r"dk_[a-z0-9]{12}_[\w-]{43}", key)
    shown = dispatch("keys", "list")
    assert key[:15] in shown.out
    assert key not in shown.out
    [listed] = dispatch("keys", "list", "--json").json["keys"]
    assert (listed["scopes"], listed["rate"]) == (["campaigns:write", "read"], "100/s")
    assert listed["expires_at"] is not None


def test_a_revoked_key_stays_revoked(dispatch: Dispatch) -> None:
    number = dispatch("keys", "create", "shop", "--scope", "read", "--json").json["id"]
    revoked_at = dispatch("keys", "revoke", number, "--json").json["revoked_at"]
    assert revoked_at is not None
    assert dispatch("keys", "revoke", number, "--json").json["revoked_at"] == revoked_at
    assert "revoked_key" in dispatch("keys", "list").out
    assert dispatch("keys", "revoke", 99).code == ExitCode.WRONG


def test_a_scope_that_does_not_exist_is_named(dispatch: Dispatch) -> None:
    said = dispatch("keys", "create", "shop", "--scope", "everything")
    assert said.code == ExitCode.WRONG
    assert "campaigns:write" in said.err


def test_the_log_tells_who_ordered_what(dispatch: Dispatch) -> None:
    assert "nothing was ordered" in dispatch("audit").out
    dispatch("keys", "create", "shop", "--scope", "read")
    dispatch("suppressions", "add", ANN)
    newest, oldest = dispatch("audit", "--json").json["entries"]
    assert (newest["action"], oldest["action"]) == ("people_suppressed", "key_created")
    assert newest["actor"]["kind"] == "command"
    assert newest["actor"]["name"]
    assert newest["after"]["people"] == {"number": 1, "first": [ANN]}
    [before] = dispatch("audit", "--before", newest["id"], "--json").json["entries"]
    assert before == oldest
    assert "people_suppressed" in dispatch("audit").out


@pytest.fixture
def sealing(dispatch: Dispatch, monkeypatch: pytest.MonkeyPatch) -> Dispatch:
    """A key for sealing in the environment."""
    monkeypatch.setenv("SEAL_KEY", dispatch("senders", "seal-key").out.strip())
    monkeypatch.setenv("DISPATCHER_SEAL_KEY", "env:SEAL_KEY")
    return dispatch


def sealed_sender(dispatch: Dispatch, monkeypatch: pytest.MonkeyPatch, token: str = TOKEN) -> list[object]:
    """A command line that reads the token from standard input."""
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{token}\n"))
    command = a_sender("shop")
    place = command.index("--token-env")
    return [*command[:place], *command[place + 2 :], "--seal-token"]


def test_a_sealed_token_is_read_from_standard_input_and_never_shown(
    sealing: Dispatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    added = sealing(*sealed_sender(sealing, monkeypatch), "--json")
    assert added.json["token"] == "sealed"
    for said in (added, sealing("senders", "show", "shop"), sealing("audit", "--json"), sealing("doctor")):
        assert TOKEN not in said.out + said.err
        assert "gAAAA" not in said.out + said.err


def test_tokens_are_sealed_anew_when_the_key_changes(
    sealing: Dispatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealing(*sealed_sender(sealing, monkeypatch))
    monkeypatch.setenv("NEW_KEY", sealing("senders", "seal-key").out.strip())
    monkeypatch.setenv("DISPATCHER_SEAL_KEY", "env:NEW_KEY")
    assert "cannot be opened" in sealing("senders", "show", "shop").out
    assert sealing("senders", "reseal").code == ExitCode.WRONG
    monkeypatch.setenv("DISPATCHER_SEAL_KEYS_BEFORE", '["env:SEAL_KEY"]')
    assert sealing("senders", "reseal", "--json").json == {"resealed": ["shop"], "subscriptions": 0}
    monkeypatch.delenv("DISPATCHER_SEAL_KEYS_BEFORE")
    assert "cannot be opened" not in sealing("senders", "show", "shop").out


def test_without_a_key_nothing_is_sealed(dispatch: Dispatch, monkeypatch: pytest.MonkeyPatch) -> None:
    said = dispatch(*sealed_sender(dispatch, monkeypatch), "--json")
    assert said.code == ExitCode.WRONG
    assert "seal_key" in said.error["message"]
    assert TOKEN not in said.out + said.err
    assert dispatch("senders", "list", "--json").json["senders"] == []


def test_a_key_that_is_none_is_refused_and_not_repeated(
    dispatch: Dispatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEAL_KEY", "not-a-key-at-all")
    monkeypatch.setenv("DISPATCHER_SEAL_KEY", "env:SEAL_KEY")
    said = dispatch(*sealed_sender(dispatch, monkeypatch), "--json")
    assert said.code == ExitCode.WRONG
    assert "env:SEAL_KEY holds is no key" in said.error["message"]
    assert "not-a-key-at-all" not in said.out + said.err
