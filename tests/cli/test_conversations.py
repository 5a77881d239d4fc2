"""Conversations and opt-outs as operators see them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from support.builders import TOKEN_VARIABLE
from support.ledger import Ledger
from support.people import DANA, DANAS_ID, Postbox, said

from dispatcher.app import open_app
from dispatcher.cli.output import ExitCode
from dispatcher.settings import Settings

from .builders import Dispatch

NOW = datetime.now(UTC).replace(microsecond=0)
HOUR = timedelta(hours=1)


def say(*bodies: bytes) -> None:
    """People write to the sender "harbour"; a worker takes it in."""

    async def run() -> None:
        async with open_app(Settings.load(), migrate=False) as app:
            sender = await Ledger(app.database).a_sender("harbour", phone_number_id="200000000000001")
            await Postbox(app, sender).says(*bodies)
            await app.redis.connection_pool.disconnect()

    asyncio.run(run())


@pytest.fixture
def written(dispatch: Dispatch, monkeypatch: pytest.MonkeyPatch) -> Dispatch:
    """Dana came by an ad, with a hidden number at first, and opted out; Eli wrote two days ago."""
    monkeypatch.setenv(TOKEN_VARIABLE, "a token")
    say(
        said("Hi", at=NOW - 3 * HOUR, person=None, user_id=DANAS_ID, referral={"source_type": "ad"}),
        said("It is me", at=NOW - 2 * HOUR, user_id=DANAS_ID),
        said("Stop", at=NOW - HOUR, user_id=DANAS_ID),
        said("Hello", at=NOW - 48 * HOUR, person="12025550150", name="Eli"),
    )
    return dispatch


def names(dispatch: Dispatch, *options: object) -> Sequence[str]:
    listed = dispatch("conversations", "list", *options, "--json").json["conversations"]
    return [one["name"] for one in listed]


def test_conversations_are_listed_with_their_windows(written: Dispatch) -> None:
    dana, eli = written("conversations", "list", "--json").json["conversations"]
    assert (dana["person"], dana["user_id"], dana["sender"]) == (f"+{DANA}", DANAS_ID, "harbour")
    assert dana["window"] == {"open": True, "ends_at": (NOW - HOUR + 24 * HOUR).isoformat()}
    assert eli["window"] == {"open": False, "ends_at": (NOW - 24 * HOUR).isoformat()}
    assert (dana["suppressed"], eli["suppressed"]) == ("opted_out", None)
    shown = written("conversations", "list").out
    assert "open until" in shown
    assert "closed since" in shown


def test_they_are_found_by_sender_by_person_and_by_an_open_window(written: Dispatch) -> None:
    assert names(written) == ["Dana", "Eli"]
    assert names(written, "--open") == ["Dana"]
    assert names(written, "--from", "harbour", "--limit", 1) == ["Dana"]
    assert names(written, "--with", f"+{DANA}") == names(written, "--with", DANAS_ID) == ["Dana"]
    assert names(written, "--with", "+12025550150") == ["Eli"]
    assert names(written, "--with", "US.404") == []
    assert written("conversations", "list", "--from", "quay").code == ExitCode.WRONG


def test_one_is_shown_with_what_was_said_and_every_id(written: Dispatch) -> None:
    [dana] = written("conversations", "list", "--with", DANAS_ID, "--json").json["conversations"]
    shown = written("conversations", "show", dana["id"], "--json").json
    assert [(message["from"], message["text"]) for message in shown["messages"]] == [
        ("person", "Stop"),
        ("person", "It is me"),
        ("person", "Hi"),
    ]
    assert [one["id"] for one in shown["ids"]] == [DANAS_ID]
    assert (shown["free_entry_at"], shown["free_until"]) == ((NOW - 3 * HOUR).isoformat(), None)
    text = written("conversations", "show", dana["id"]).out
    assert "It is me" in text
    assert "free of charge for 72 hours if answered before" in text
    assert written("conversations", "show", 404).code == ExitCode.WRONG


def test_the_history_of_a_persons_opt_outs_is_shown(written: Dispatch) -> None:
    written("suppressions", "remove", DANAS_ID)
    for named in (f"+{DANA}", DANAS_ID):
        history = written("suppressions", "history", named, "--json").json["history"]
        assert [(entry["change"], entry["source"]) for entry in history] == [
            ("opted_out", "text: Stop"),
            ("removed", "command line"),
        ]
    assert "text: Stop" in written("suppressions", "history", f"+{DANA}").out
    assert "nothing is known" in written("suppressions", "history", "+12025550150").out


def test_a_person_without_a_number_is_put_on_the_list_by_user_id(dispatch: Dispatch) -> None:
    assert dispatch("suppressions", "add", "US.42", "--json").json == {"given": 1, "new": 1}
    [entry] = dispatch("suppressions", "list", "--json").json["suppressions"]
    assert entry["person"] == "US.42"
    assert dispatch("suppressions", "remove", "US.42", "--json").json == {"given": 1, "removed": 1}
