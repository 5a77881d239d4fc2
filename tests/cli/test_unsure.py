"""Unsure messages and quarantined webhooks by hand: seen, settled, released, replayed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeVar

import pytest
from support.ledger import Ledger, settle_all

from dispatcher.cli.output import ExitCode
from dispatcher.domain.ids import MessageId
from dispatcher.domain.message import unsure
from dispatcher.ledger.database import Database
from dispatcher.ledger.inbox import LedgerInbox

from .builders import Dispatch

T = TypeVar("T")


def in_ledger(database_url: str, work: Callable[[Ledger], Awaitable[T]]) -> T:
    """Do something to the ledger before commands look at it."""

    async def run() -> T:
        database = await Database.open(database_url, connections=2)
        try:
            return await work(Ledger(database))
        finally:
            await database.close()

    return asyncio.run(run())


@pytest.fixture
def lost(dispatch: Dispatch, database_url: str) -> list[MessageId]:
    """Campaign 1 has posted to three people; the answers of two were lost."""

    async def post(ledger: Ledger) -> list[MessageId]:
        filled = await ledger.a_campaign(people=3)
        turn = await ledger.a_turn(filled.lanes[0])
        messages = await ledger.turns.claim(turn, 3)
        await settle_all(ledger, turn, messages[:1])
        await ledger.turns.settle(turn, [unsure(m.id, "answer_lost", detail="reset") for m in messages[1:]])
        await ledger.turns.close_turn(turn, None)
        return [MessageId(m.id) for m in messages[1:]]

    return in_ledger(database_url, post)


def counts(dispatch: Dispatch) -> dict[str, int]:
    said = dispatch("campaign", "show", 1, "--json").json["counts"]
    assert said["adds_up"]
    return {state: said[state] for state in ("accepted", "refused", "unsure", "pending")}


def test_what_is_unsure_is_listed_with_who_decides(dispatch: Dispatch, lost: list[MessageId]) -> None:
    said = dispatch("unsure", "list", "--json")
    assert said.code == ExitCode.NO
    assert said.json["unsure"] == 2
    first = said.json["messages"][0]
    assert (first["reason"], first["detail"], first["policy"]) == ("answer_lost", "reset", "give_up")
    assert first["decides_at"] > first["posted_at"]
    shown = dispatch("unsure", "list", "--campaign", 1).out
    assert f"1.{lost[0]}" in shown
    assert "give_up at" in shown


def test_an_operator_settles_some_and_releases_the_rest(dispatch: Dispatch, lost: list[MessageId]) -> None:
    said = dispatch("unsure", "settle", 1, lost[0], "--as", "accepted", "--json")
    assert said.json == {"settled": 1, "as": "accepted"}
    assert counts(dispatch) == {"accepted": 2, "refused": 0, "unsure": 1, "pending": 0}
    assert dispatch("unsure", "release", 1, "--all", "--json").json == {"released": 1}
    assert counts(dispatch) == {"accepted": 2, "refused": 0, "unsure": 0, "pending": 1}
    assert dispatch("campaign", "show", 1, "--json").json["state"] == "running"
    assert dispatch("unsure", "list").code == ExitCode.DONE
    assert dispatch("check").code == ExitCode.DONE


@pytest.mark.parametrize(
    "arguments",
    [
        ("settle", 1),
        ("release", 1),
        ("release", 1, 7, "--all"),
        ("settle", 1, "--all", "--as", "delivered"),
        ("settle", 404, "--all"),
    ],
)
def test_an_order_that_is_not_clear_changes_nothing(
    dispatch: Dispatch, lost: list[MessageId], arguments: tuple[object, ...]
) -> None:
    before = counts(dispatch)
    assert dispatch("unsure", *arguments, "--json").code == ExitCode.WRONG
    assert counts(dispatch) == before


def test_unsure_messages_of_a_cancelled_campaign_are_not_released(
    dispatch: Dispatch, lost: list[MessageId], database_url: str
) -> None:
    in_ledger(
        database_url, lambda ledger: ledger.database.execute("UPDATE campaigns SET state = 'cancelled'")
    )
    said = dispatch("unsure", "release", 1, "--all", "--json")
    assert said.code == ExitCode.WRONG
    assert "cancelled" in said.error["message"]
    assert counts(dispatch)["unsure"] == 2


def test_webhooks_that_were_put_aside_are_seen_replayed_and_forgotten(
    dispatch: Dispatch, database_url: str
) -> None:
    async def put_aside(ledger: Ledger) -> None:
        inbox = LedgerInbox(ledger.database)
        await inbox.add([b"one", b"two"], within=timedelta(seconds=5))
        await ledger.database.execute(
            """WITH taken AS (DELETE FROM inbox RETURNING *)
            INSERT INTO quarantine (received_at, reason, detail, body)
            SELECT received_at, 'not_json', 'a test', body FROM taken ORDER BY id"""
        )

    in_ledger(database_url, put_aside)
    said = dispatch("quarantine", "list", "--json")
    assert said.code == ExitCode.NO
    assert [(one["id"], one["reason"]) for one in said.json["quarantined"]] == [
        (2, "not_json"),
        (1, "not_json"),
    ]
    assert dispatch("quarantine", "show", 1, "--json").json["content"] == "one"
    assert dispatch("quarantine", "show", 404).code == ExitCode.WRONG
    assert dispatch("quarantine", "replay").code == ExitCode.WRONG
    assert dispatch("quarantine", "replay", 1, "--json").json == {"replayed": 1}
    assert dispatch("quarantine", "discard", 2, "--json").json == {"discarded": 1}
    assert dispatch("quarantine", "list").code == ExitCode.DONE
    assert in_ledger(database_url, lambda ledger: ledger.database.fetchval("SELECT count(*) FROM inbox")) == 1
