"""Senders and templates by hand: what is stored is what was said, and a token is never seen."""

from __future__ import annotations

from pathlib import Path

import pytest

from dispatcher.cli.output import ExitCode

from .builders import ACCOUNT, TOKEN, Dispatch, a_sender


def test_a_sender_is_shown_as_it_was_added(dispatch: Dispatch) -> None:
    added = dispatch(
        *a_sender("shop", tier="TIER_1K", rate="600/min", quality="medium", portfolio_id="42"), "--json"
    )
    assert added.code == 0
    shown = dispatch("senders", "show", "shop", "--json").json
    assert shown["name"] == "shop"
    assert (shown["tier"], shown["tier_label"], shown["tier_level"]) == (
        1000,
        "TIER_1K",
        {"growth": 2, "status": 1},
    )
    assert (shown["rate_per_s"], shown["quality"], shown["portfolio_id"]) == (10.0, "medium", "42")
    assert shown["may_send"] is True
    assert shown["token"] == "env:SHOP_TOKEN"
    assert {key: shown[key] for key in added.json} == added.json


def test_the_token_itself_is_never_shown(dispatch: Dispatch) -> None:
    dispatch(*a_sender("shop"))
    for command in (["senders", "list"], ["senders", "show", "shop"], ["doctor"]):
        for form in ([], ["--json"]):
            said = dispatch(*command, *form)
            assert TOKEN not in said.out + said.err


def test_a_token_that_cannot_be_read_now_is_a_warning(dispatch: Dispatch) -> None:
    said = dispatch(*a_sender("shop", token_env="NOT_SET_YET"))
    assert said.code == 0
    assert "NOT_SET_YET is not set" in said.err


def test_a_token_file_is_remembered_by_its_whole_path(dispatch: Dispatch, tmp_path: Path) -> None:
    dispatch(*a_sender("shop"))
    (tmp_path / "secret").write_text("abc")
    changed = dispatch("senders", "set", "shop", "--token-file", "secret", "--json").json
    assert changed["token"] == f"file:{tmp_path / 'secret'}"


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"phone": "202 555"}, "not usable as the sender's number"),
        ({"tier": "huge"}, "is not a tier"),
        ({"rate": "fast"}, "is not a rate"),
        ({"phone_number_id": "12a"}, "digits only"),
        ({"waba_id": "shop"}, "digits only"),
        ({"token_env": "EAAG|secret"}, "not the token"),
        ({"token_file": "x"}, "exclude each other"),
    ],
    ids=str,
)
def test_a_wrong_value_adds_nobody(dispatch: Dispatch, options: dict[str, str], complaint: str) -> None:
    said = dispatch(*a_sender("shop", **options))
    assert said.code == ExitCode.WRONG
    assert complaint in said.err
    assert "EAAG" not in said.err
    assert dispatch("senders", "list", "--json").json == {"senders": []}


def test_a_name_that_is_taken_is_a_conflict(dispatch: Dispatch) -> None:
    dispatch(*a_sender("shop"))
    said = dispatch(*a_sender("shop", number=4), "--json")
    assert (said.code, said.error["kind"]) == (ExitCode.WRONG, "conflict")


def test_a_sender_that_nobody_knows_is_not_found(dispatch: Dispatch) -> None:
    for command in (["show"], ["set", "--disable"]):
        said = dispatch("senders", command[0], "nobody", *command[1:], "--json")
        assert (said.code, said.error["kind"]) == (ExitCode.WRONG, "not_found")


@pytest.mark.parametrize(
    ("change", "may_send", "why"),
    [
        (["--status", "BANNED"], False, "sender_blocked (BANNED)"),
        (["--lifecycle", "offline"], False, "sender_blocked (offline)"),
        (["--disable"], False, "sender_disabled"),
        (["--status", "flagged"], True, "yes"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_the_list_says_who_may_send_and_why_not(
    dispatch: Dispatch, change: list[str], may_send: bool, why: str
) -> None:
    dispatch(*a_sender("shop"))
    assert dispatch("senders", "set", "shop", *change).code == 0
    assert dispatch("senders", "list", "--json").json["senders"][0]["may_send"] is may_send
    assert why in dispatch("senders", "list").out


@pytest.mark.parametrize("status", ["MIGRATED", "RATE_LIMITED", "FLAGGED", "UNVERIFIED"])
def test_a_status_that_needs_care_is_warned_of(dispatch: Dispatch, status: str) -> None:
    dispatch(*a_sender("shop", status=status))
    assert len(dispatch("senders", "show", "shop", "--json").json["warnings"]) == 1
    assert "warning: " in dispatch("senders", "show", "shop").out


def test_a_portfolio_can_be_left(dispatch: Dispatch) -> None:
    dispatch(*a_sender("shop", portfolio_id="42"))
    assert dispatch("senders", "set", "shop", "--portfolio-id", "", "--json").json["portfolio_id"] is None


def test_changing_nothing_is_wrong(dispatch: Dispatch) -> None:
    dispatch(*a_sender("shop"))
    assert dispatch("senders", "set", "shop").code == ExitCode.WRONG
    assert dispatch("senders", "set", "shop", "--lift-holds").code == 0


def test_templates_are_read_once_per_account_and_changes_are_counted(with_sender: Dispatch) -> None:
    with_sender(*a_sender("banned", number=2, status="BANNED"))
    [account] = with_sender("templates", "sync", "--json").json["accounts"]
    assert account == {
        "account": ACCOUNT,
        "sender": "shop",
        "templates": 10,
        "added": 0,
        "changed": 0,
        "removed": 0,
        "error": None,
    }
    known = with_sender("templates", "list", "--json").json["templates"]
    offer = next(t for t in known if (t["name"], t["language"]) == ("autumn_offer", "en_US"))
    assert offer["is_sendable"]
    assert [slot["path"] for slot in offer["slots"] if slot["required"]] == [
        "header.1",
        "body.1",
        "body.2",
        "button.1.url",
    ]
    assert "autumn_offer" in with_sender("templates", "list").out


def test_a_token_that_meta_refuses_is_told(with_sender: Dispatch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_TOKEN", "wrong")
    said = with_sender("templates", "sync", "--from", "shop", "--json")
    assert (said.code, said.error["kind"]) == (ExitCode.AWAY, "channel_refused")
    assert len(with_sender("templates", "list", "--json").json["templates"]) == 10


def test_an_account_that_fails_does_not_keep_the_others_from_being_read(with_sender: Dispatch) -> None:
    with_sender(*a_sender("other", number=4, waba_id="999", token_env="NOT_SET"))
    said = with_sender("templates", "sync", "--json")
    assert said.code == ExitCode.AWAY
    errors = {account["account"]: account["error"] for account in said.json["accounts"]}
    assert errors[ACCOUNT] is None
    assert "NOT_SET" in errors["999"]


def test_without_senders_there_is_no_account_to_read(dispatch: Dispatch) -> None:
    said = dispatch("templates", "sync")
    assert said.code == ExitCode.WRONG
    assert "senders add" in said.err
