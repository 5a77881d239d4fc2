"""The suppression list by hand."""

from __future__ import annotations

from dispatcher.cli.output import ExitCode

from .builders import ANN, BOB, EVE, OFFER, PEOPLE, Dispatch, Write


def listed(dispatch: Dispatch) -> list[str]:
    return [one["person"] for one in dispatch("suppressions", "list", "--json").json["suppressions"]]


def test_people_come_and_go_by_their_number(dispatch: Dispatch) -> None:
    assert dispatch("suppressions", "add", ANN, BOB, "--json").json == {"given": 2, "new": 2}
    assert dispatch("suppressions", "add", "+49 (151) 2345-6789", "--json").json == {"given": 1, "new": 0}
    assert sorted(listed(dispatch)) == sorted([ANN, BOB])
    assert dispatch("suppressions", "remove", ANN, EVE, "--json").json == {"given": 2, "removed": 1}
    assert listed(dispatch) == [BOB]
    assert BOB in dispatch("suppressions", "list").out


def test_one_wrong_number_and_nobody_is_added(dispatch: Dispatch) -> None:
    said = dispatch("suppressions", "add", ANN, "call me", "07700", "--json")
    assert said.code == ExitCode.WRONG
    assert len(said.error["problems"]) == 2
    assert listed(dispatch) == []


def test_a_file_puts_everybody_on_the_list_and_names_the_rows_it_cannot_use(
    dispatch: Dispatch, write: Write
) -> None:
    said = dispatch("suppressions", "import", write(PEOPLE), "--reason", "left us", "--json")
    assert said.code == ExitCode.NO
    assert said.json == {
        "given": 4,
        "new": 3,
        "rejected": {"not_a_number": 1},
        "examples": ["line 4: not_a_number 'call me'"],
    }
    assert sorted(listed(dispatch)) == sorted([ANN, BOB, EVE])


def test_a_file_that_breaks_off_changes_nothing(dispatch: Dispatch, write: Write) -> None:
    broken = f"phone\n{ANN}\n".encode() * 30_000 + b"\xff\xff\n"
    assert dispatch("suppressions", "import", write(broken)).code == ExitCode.WRONG
    assert dispatch("suppressions", "import", write("phone\ncall me\n")).code == ExitCode.WRONG
    assert listed(dispatch) == []


def test_whoever_is_on_the_list_is_left_out_of_a_campaign(with_sender: Dispatch, write: Write) -> None:
    with_sender("suppressions", "add", BOB)
    said = with_sender("campaign", "create", write(PEOPLE), *OFFER, "--json")
    assert said.json["imported"]["suppressed"] == 1
