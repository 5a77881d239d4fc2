"""Campaigns by hand, without workers: orders, what they answer, and that bad input leaves nothing behind."""

from __future__ import annotations

import asyncio
import csv
import gzip
from pathlib import Path

import orjson
import pytest

from dispatcher.cli.export import COLUMNS
from dispatcher.cli.output import ExitCode
from dispatcher.ledger.database import Database

from .builders import ANN, BOB, EVE, OFFER, PEOPLE, Dispatch, Write

HALF_BROKEN = f"phone,first_name\n{ANN},Ann\n".encode() + b"x" * 300_000 + b"\n+447700900102,B\xf6b\n"


def left_out(option: str) -> list[str]:
    """`OFFER` without an option and its value."""
    place = OFFER.index(option)
    return [*OFFER[:place], *OFFER[place + 2 :]]


@pytest.mark.parametrize(
    ("content", "options", "complaint"),
    [
        (None, OFFER, "people.csv"),
        ("", OFFER, "is empty"),
        ("phone,first_name\n", OFFER, "no rows"),
        ("first_name,city\nAnn,Oslo\n", OFFER, "no column looks like phone numbers"),
        (PEOPLE, [*OFFER, "--phone-column", "mobil"], "no column 'mobil'"),
        (f"phone,name\n{ANN},Ann\n", OFFER, "no column 'first_name'"),
        (PEOPLE, [*left_out("--template"), "--template", "autum_offer"], "no template 'autum_offer'"),
        (PEOPLE, [*left_out("--language"), "--language", "fr"], "'fr'"),
        (PEOPLE, [*OFFER, "--from", "nobody"], "no sender 'nobody'"),
        (PEOPLE, [*OFFER, "--map", "body.9=first_name"], "no such slot"),
        (PEOPLE, [*OFFER, "--map", "body.1"], "write SLOT=COLUMN"),
        (PEOPLE, left_out("--map"), "header.1: is required"),
        (PEOPLE, [*OFFER, "--encoding", "klingon"], "klingon"),
        (PEOPLE, [*OFFER, "--delimiter", "::"], "'::'"),
        (PEOPLE, [*OFFER, "--region", "Narnia"], "'Narnia'"),
        (PEOPLE, [*OFFER, "--deadline", "tomorrow"], "'tomorrow'"),
        (PEOPLE, [*OFFER, "--deadline", "2026-10-01T18:00"], "distance from UTC"),
        (PEOPLE, [*OFFER, "--deadline", "2001-10-01T18:00Z"], "has passed"),
        (HALF_BROKEN, OFFER, "Nothing was imported"),
        (gzip.compress(PEOPLE.encode() * 9)[:-20], OFFER, "Nothing was imported"),
        ('phone,first_name\n+12025550101,"Ann\n', OFFER, "line 2 cannot be read"),
        ("phone,first_name\ncall me,Ann\n,Bob\n", OFFER, "none of 2 rows"),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 40 else "",
)
def test_bad_input_is_one_clear_message_and_leaves_no_campaign(
    with_sender: Dispatch, write: Write, tmp_path: Path, content, options, complaint: str
) -> None:
    path = tmp_path / "people.csv" if content is None else write(content)
    for command in (["campaign", "create"], ["send"]):
        said = with_sender(*command, path, *options, "--json")
        assert said.code == ExitCode.WRONG
        assert complaint in " ".join([said.error["message"], *said.error["problems"]])
    assert with_sender("campaign", "list", "--json").json == {"campaigns": []}


def test_the_message_of_a_broken_file_goes_to_people_as_text(with_sender: Dispatch, write: Write) -> None:
    said = with_sender("campaign", "create", write(HALF_BROKEN), *OFFER)
    assert (said.code, said.out) == (ExitCode.WRONG, "")
    assert said.err.startswith("error: people.csv: ")
    assert "Traceback" not in said.err


def test_a_broken_import_can_be_repeated_with_its_key(with_sender: Dispatch, write: Write) -> None:
    create = ["campaign", "create", write(HALF_BROKEN), *OFFER, "--key", "spring-1", "--json"]
    assert with_sender(*create).code == ExitCode.WRONG
    write(PEOPLE)
    assert with_sender(*create).json["imported"]["audience"] == 3


def test_an_audience_becomes_a_draft(with_sender: Dispatch, write: Write) -> None:
    said = with_sender("campaign", "create", write(PEOPLE), *OFFER, "--weight", 3, "--json")
    assert said.code == 0
    assert said.err == ""
    campaign, imported = said.json["campaign"], said.json["imported"]
    assert (campaign["name"], campaign["state"], campaign["weight"]) == ("people", "draft", 3)
    assert imported["rows"] == 5
    assert imported["audience"] == 3
    assert imported["rejected"] == {"duplicate": 1, "not_a_number": 1}
    shown = with_sender("campaign", "show", campaign["id"], "--json").json
    assert shown["counts"]["pending"] == 3
    assert shown["counts"]["adds_up"]
    assert [(w["people"], w["reason"]) for w in shown["waiting"]] == [(3, "not_started")]


def test_a_value_that_meta_would_refuse_is_rejected_with_its_line(
    with_sender: Dispatch, write: Write
) -> None:
    content = f'phone,first_name\n{ANN},Ann\n{BOB},"Bob\tB"\n{EVE},{"E" * 61}\n'
    said = with_sender("campaign", "create", write(content), *OFFER, "--json")
    assert said.json["imported"]["rejected"] == {"bad_value": 2}


def test_a_known_key_imports_nothing_again(with_sender: Dispatch, write: Write) -> None:
    create = ["campaign", "create", write(PEOPLE), *OFFER, "--key", "spring-1"]
    first = with_sender(*create, "--json").json
    again = with_sender(*create, "--json")
    assert again.code == 0
    assert again.json == {"campaign": first["campaign"], "imported": None}
    assert "nothing was imported" in with_sender(*create).err
    assert len(with_sender("campaign", "list", "--json").json["campaigns"]) == 1


@pytest.fixture
def draft(with_sender: Dispatch, write: Write) -> int:
    """The number of a campaign with three people and two rejected rows."""
    return int(with_sender("campaign", "create", write(PEOPLE), *OFFER, "--json").json["campaign"]["id"])


def test_orders_may_be_repeated(dispatch: Dispatch, draft: int) -> None:
    for order, state in (
        ("start", "running"),
        ("pause", "paused"),
        ("resume", "running"),
        ("cancel", "cancelled"),
    ):
        for _ in range(2):
            said = dispatch("campaign", order, draft, "--json")
            assert (said.code, said.json["state"]) == (0, state)


def test_pausing_says_how_many_were_handed_over(dispatch: Dispatch, draft: int) -> None:
    dispatch("campaign", "start", draft)
    said = dispatch("campaign", "pause", draft, "--json").json
    assert (said["handed_over"], said["still_in_flight"], said["counts"]["pending"]) == (0, 0, 3)
    assert "0 were handed over, 3 wait" in dispatch("campaign", "pause", draft).out


def test_what_a_state_forbids_is_a_conflict(dispatch: Dispatch, draft: int) -> None:
    assert dispatch("campaign", "pause", draft, "--json").error["kind"] == "conflict"
    assert dispatch("campaign", "resume", draft, "--json").error["kind"] == "conflict"
    dispatch("campaign", "cancel", draft)
    said = dispatch("campaign", "start", draft, "--json")
    assert (said.code, said.error["kind"]) == (ExitCode.WRONG, "conflict")


@pytest.mark.parametrize(
    "command", ["start", "pause", "resume", "cancel", "show", "follow", "report", "export", "explain"]
)
def test_a_campaign_that_nobody_knows_is_not_found(dispatch: Dispatch, tmp_path: Path, command: str) -> None:
    said = dispatch("campaign", command, 4711, "--json")
    assert (said.code, said.error["kind"]) == (ExitCode.WRONG, "not_found")
    assert list(tmp_path.iterdir()) == []


def test_a_campaign_without_workers_says_what_it_waits_for(dispatch: Dispatch, draft: int) -> None:
    started = dispatch("campaign", "start", draft)
    assert "no worker is running" in started.err
    said = dispatch("campaign", "explain", draft, "--json").json
    assert said["binding"]["reason"] == "queued"
    assert [lane["sender"] for lane in said["lanes"]] == ["shop"]
    assert "start workers" in dispatch("campaign", "explain", draft).out


def test_following_ends_when_everybody_waits_for_an_event(dispatch: Dispatch, draft: int) -> None:
    dispatch("campaign", "start", draft)
    dispatch("campaign", "pause", draft)
    said = dispatch("campaign", "follow", draft, "--until-held", "--json")
    assert said.code == ExitCode.NO
    assert [(w["people"], w["reason"]) for w in said.json["waiting"]] == [(3, "paused")]


def test_following_a_cancelled_campaign_ends_at_once_with_a_no(dispatch: Dispatch, draft: int) -> None:
    dispatch("campaign", "cancel", draft)
    said = dispatch("campaign", "follow", draft, "--json")
    assert said.code == ExitCode.NO
    assert said.json["counts"]["cancelled"] == 3


def test_the_report_adds_up_for_people_and_for_machines(dispatch: Dispatch, draft: int) -> None:
    dispatch("suppressions", "add", BOB)
    said = dispatch("campaign", "report", draft, "--json").json
    assert said["counts"]["adds_up"]
    assert said["rejected_rows"] == {"duplicate": 1, "not_a_number": 1}
    text = dispatch("campaign", "report", draft).out
    for part in (
        "the states add up",
        "not_a_number",
        "not_started",
        "shop",
        f"dispatch campaign export {draft}",
    ):
        assert part in text


def test_everybody_is_exported_in_the_order_of_the_file(
    dispatch: Dispatch, draft: int, tmp_path: Path
) -> None:
    assert dispatch("campaign", "export", draft, "--json").json["rows"] == 5
    with (tmp_path / f"campaign-{draft}.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert [(row["line"], row["phone"], row["state"]) for row in rows] == [
        ("2", ANN, "pending"),
        ("3", BOB, "pending"),
        ("4", "call me", "rejected"),
        ("5", EVE, "pending"),
        ("6", rows[4]["phone"], "rejected"),
    ]
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_an_export_as_ndjson_has_all_that_the_csv_has(dispatch: Dispatch, draft: int, tmp_path: Path) -> None:
    dispatch("campaign", "export", draft, "--to", "all.ndjson")
    rows = [orjson.loads(line) for line in (tmp_path / "all.ndjson").read_bytes().splitlines()]
    assert len(rows) == 5
    assert all(tuple(row) == COLUMNS for row in rows)


def test_an_export_overwrites_only_when_told_to(dispatch: Dispatch, draft: int, tmp_path: Path) -> None:
    mine = tmp_path / "mine.csv"
    mine.write_text("precious")
    said = dispatch("campaign", "export", draft, "--to", mine)
    assert said.code == ExitCode.WRONG
    assert "--force" in said.err
    assert mine.read_text() == "precious"
    assert dispatch("campaign", "export", draft, "--to", mine, "--force").code == 0
    assert mine.read_text().startswith("line,phone")


@pytest.mark.parametrize("name", ["all.pdf", "no/such/folder.csv"])
def test_an_export_that_cannot_be_written_leaves_no_file(
    dispatch: Dispatch, draft: int, tmp_path: Path, name: str
) -> None:
    before = set(tmp_path.iterdir())
    assert dispatch("campaign", "export", draft, "--to", name).code == ExitCode.WRONG
    assert set(tmp_path.iterdir()) == before


def test_the_books_are_right(dispatch: Dispatch, draft: int) -> None:
    assert dispatch("check", "--json").json == {"ok": True, "faults": []}


def test_a_fault_in_the_books_is_found_and_answered_with_a_no(
    dispatch: Dispatch, draft: int, database_url: str
) -> None:
    asyncio.run(corrupt(database_url))
    said = dispatch("check", "--json")
    assert said.code == ExitCode.NO
    assert said.json["ok"] is False
    assert {fault["campaign_id"] for fault in said.json["faults"]} == {draft}
    assert "counters say" in dispatch("check").out


async def corrupt(database_url: str) -> None:
    database = await Database.open(database_url, connections=1)
    await database.execute("UPDATE campaigns SET audience = audience + 1")
    await database.close()


def test_a_message_is_found_by_its_number_its_person_and_its_token(dispatch: Dispatch, draft: int) -> None:
    by_person = dispatch("message", "show", f"{draft}:{ANN}", "--json").json
    assert (by_person["person"], by_person["state"], by_person["line"]) == (ANN, "pending", 2)
    by_number = dispatch("message", "show", f"{draft}.{by_person['id']}", "--json").json
    assert by_number == by_person
    assert (
        dispatch("message", "explain", f"{draft}:{ANN}", "--json").json["binding"]["reason"] == "not_started"
    )
    assert ANN in dispatch("message", "show", f"{draft}:{ANN}").out


@pytest.mark.parametrize(
    ("reference", "kind"),
    [
        ("nonsense", "bad_value"),
        ("1.x", "bad_value"),
        ("0.1", "bad_value"),
        ("1:call-me", "bad_value"),
        (f"99999999999999999999:{ANN}", "bad_value"),
        (f"4711:{ANN}", "not_found"),
        ("4711.1", "not_found"),
        ("another-ledger.1.1.1", "not_found"),
    ],
)
def test_a_reference_that_leads_nowhere_is_told(dispatch: Dispatch, reference: str, kind: str) -> None:
    for command in ("show", "explain"):
        said = dispatch("message", command, reference, "--json")
        assert (said.code, said.error["kind"]) == (ExitCode.WRONG, kind)
