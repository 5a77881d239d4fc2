"""Who is told of events, and what nobody took, by hand."""

from __future__ import annotations

import os

import pytest

from dispatcher.cli.output import ExitCode

from .builders import Dispatch

URL = "http://127.0.0.1:9/events"


@pytest.fixture
def listening(dispatch: Dispatch, monkeypatch: pytest.MonkeyPatch) -> Dispatch:
    """Secrets can be sealed, and loopback is allowed."""
    monkeypatch.setenv("SEAL_KEY", dispatch("senders", "seal-key").out.strip())
    monkeypatch.setenv("DISPATCHER_SEAL_KEY", "env:SEAL_KEY")
    monkeypatch.setenv("DISPATCHER_EVENTS_NETWORKS", '["127.0.0.0/8"]')
    return dispatch


def test_a_subscription_from_its_making_to_its_end(listening: Dispatch) -> None:
    assert "nobody is told" in listening("subscriptions", "list").out
    said = listening(
        "subscriptions", "add", URL + "?key=hidden", "--kind", "campaign.*", "--kind", "receipt.failed"
    )
    secret = said.out.strip()
    assert secret.startswith("whsec_")
    shown = listening("subscriptions", "list").out
    assert "127.0.0.1:9/events" in shown
    assert secret not in shown
    assert "hidden" not in shown
    [listed] = listening("subscriptions", "list", "--json").json["subscriptions"]
    assert (listed["kinds"], listed["enabled"]) == (["campaign.*", "receipt.failed"], True)
    assert listed["delivery"]["pending"] == 0

    assert listening("subscriptions", "ping", 1, "--json").json["event"].startswith("evt_")
    assert "1" in listening("subscriptions", "show", 1).out
    rotated = listening("subscriptions", "rotate-secret", 1, "--json").json["secret"]
    assert rotated != secret
    changed = listening("subscriptions", "set", 1, "--disable", "--kind", "*", "--json").json
    assert (changed["enabled"], changed["stopped"], changed["kinds"]) == (False, "by_order", ["*"])
    assert listening("subscriptions", "ping", 1).code == ExitCode.WRONG
    assert listening("subscriptions", "remove", 1).code == ExitCode.DONE
    assert listening("subscriptions", "show", 1).code == ExitCode.WRONG


@pytest.mark.parametrize(
    "arguments",
    [
        ["add", "http://10.0.0.1/", "--kind", "*"],
        ["add", URL, "--kind", "nonsense"],
        ["add", URL, "--kind", "*", "--sender", "nobody"],
        ["set", "1"],
        ["set", "1", "--sender", "a", "--all-senders"],
        ["set", "99", "--enable"],
        ["remove", "99"],
    ],
)
def test_what_cannot_be_is_refused(listening: Dispatch, arguments: list[str]) -> None:
    assert listening("subscriptions", *arguments).code == ExitCode.WRONG
    assert listening("subscriptions", "list", "--json").json["subscriptions"] == []


def test_a_secret_needs_a_key_to_be_kept_with(dispatch: Dispatch) -> None:
    said = dispatch("subscriptions", "add", "https://127.0.0.1/", "--kind", "*")
    assert said.code == ExitCode.WRONG
    assert "no key is configured" in said.err


def test_dead_letters_are_chosen_in_exactly_one_way(listening: Dispatch) -> None:
    listening("subscriptions", "add", URL, "--kind", "*")
    assert "no dead letters" in listening("events", "dead", "list", 1).out
    for order in ("replay", "purge"):
        assert listening("events", "dead", order, 1).code == ExitCode.WRONG
        assert listening("events", "dead", order, 1, "evt_other_1").code == ExitCode.WRONG
        assert listening("events", "dead", order, 1, "evt_other_1", "--all").code == ExitCode.WRONG
    assert listening("events", "dead", "replay", 1, "--since", "2026-09-01").out.startswith("0 events")
    assert listening("events", "dead", "purge", 1, "--all", "--json").json == {"purged": 0}


def test_sealing_anew_includes_the_secrets_of_subscriptions(
    listening: Dispatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    listening("subscriptions", "add", URL, "--kind", "*")
    monkeypatch.setenv("OLD_KEY", os.environ["SEAL_KEY"])
    monkeypatch.setenv("SEAL_KEY", listening("senders", "seal-key").out.strip())
    monkeypatch.setenv("DISPATCHER_SEAL_KEYS_BEFORE", '["env:OLD_KEY"]')
    assert listening("senders", "reseal", "--json").json["subscriptions"] == 1
    monkeypatch.delenv("DISPATCHER_SEAL_KEYS_BEFORE")
    assert listening("senders", "reseal", "--json").json["subscriptions"] == 1  # opened with the new one
