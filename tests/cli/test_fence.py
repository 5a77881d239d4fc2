"""`dispatch fence`: what a moved ledger says on the command line, and how an operator answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import asyncpg
import pytest

from dispatcher.cli.output import ExitCode

from .builders import OFFER, PEOPLE, Dispatch, Write

Move = Callable[[], None]


@pytest.fixture
def move(database_url: str) -> Move:
    """The ledger finds itself on another timeline than it was confirmed on."""

    async def move() -> None:
        connection = await asyncpg.connect(database_url)
        await connection.execute("""UPDATE instance SET place = place || '{"timeline": "77"}'""")
        await connection.close()

    return lambda: asyncio.run(move())


@pytest.fixture
def campaign(with_sender: Dispatch, write: Write) -> int:
    """A running campaign of three people."""
    created = with_sender("campaign", "create", write(PEOPLE), *OFFER, "--json")
    number = int(created.json["campaign"]["id"])
    assert with_sender("campaign", "start", number).code == 0
    return number


def test_a_ledger_in_its_place_has_nothing_to_confirm(dispatch: Dispatch) -> None:
    shown = dispatch("fence", "show", "--json")
    assert (shown.code, shown.json["is_up"], shown.json["moved"], shown.json["epoch"]) == (0, False, [], 1)
    said = dispatch("fence", "confirm", "--json")
    assert (said.code, said.json["confirmed_now"], said.json["epoch"]) == (0, False, 1)


def test_a_moved_ledger_is_told_wherever_one_looks(dispatch: Dispatch, campaign: int, move: Move) -> None:
    move()
    shown = dispatch("fence", "show")
    assert shown.code == ExitCode.NO
    assert "dispatch fence confirm" in shown.out
    assert dispatch("fence", "show", "--json").json["moved"] == ["timeline"]
    [waiting] = dispatch("campaign", "show", campaign, "--json").json["waiting"]
    assert (waiting["people"], waiting["reason"]) == (3, "fenced")
    assert "another timeline than confirmed" in dispatch("campaign", "show", campaign).err
    explained = dispatch("campaign", "explain", campaign, "--json").json
    assert explained["binding"]["reason"] == "fenced"
    assert [hold["reason"] for hold in explained["lanes"][0]["binding"]] == ["fenced"]
    doctor = dispatch("doctor", "--json")
    [finding] = [finding for finding in doctor.json["findings"] if finding["what"] == "fence"]
    assert (doctor.code, finding["level"]) == (ExitCode.NO, "fail")


def test_nothing_is_confirmed_where_nobody_can_be_asked(dispatch: Dispatch, move: Move) -> None:
    dispatch("fence", "show")
    move()
    said = dispatch("fence", "confirm", "--json")
    assert said.code == ExitCode.WRONG
    assert "--yes" in said.error["hint"]
    assert dispatch("fence", "show").code == ExitCode.NO


def test_confirming_pauses_and_says_why_and_resuming_goes_on(
    dispatch: Dispatch, campaign: int, move: Move
) -> None:
    move()
    said = dispatch("fence", "confirm", "--yes", "--json")
    assert (said.code, said.json["paused"], said.json["epoch"]) == (0, [campaign], 2)
    shown = dispatch("campaign", "show", campaign, "--json").json
    assert shown["state"] == "paused"
    assert "restored" in shown["paused_because"]
    assert shown["waiting"][0]["detail"] == shown["paused_because"]
    assert dispatch("campaign", "resume", campaign, "--json").json["paused_because"] is None
    again = dispatch("fence", "confirm", "--yes", "--json")
    assert again.json["confirmed_now"] is False
    assert dispatch("campaign", "show", campaign, "--json").json["state"] == "running"


def test_a_planned_move_pauses_nothing(dispatch: Dispatch, campaign: int, move: Move) -> None:
    move()
    said = dispatch("fence", "confirm", "--yes", "--keep-running", "--json")
    assert (said.code, said.json["paused"], said.json["is_up"]) == (0, [], False)
    assert dispatch("campaign", "show", campaign, "--json").json["state"] == "running"


def test_a_snapshot_that_came_back_in_the_same_place_can_be_said_to_be_one(
    dispatch: Dispatch, campaign: int
) -> None:
    said = dispatch("fence", "confirm", "--restored", "--yes")
    assert said.code == 0
    assert f"campaigns {campaign}" in said.out
    assert dispatch("fence", "confirm", "--restored", "--keep-running", "--yes").code == ExitCode.WRONG
