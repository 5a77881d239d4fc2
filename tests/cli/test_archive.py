"""Leaving old campaigns behind by hand: what may go is shown first, and what was dropped says so."""

from __future__ import annotations

import asyncio

import pytest

from dispatcher.cli.output import ExitCode
from dispatcher.ledger.database import Database

from .builders import ANN, OFFER, PEOPLE, Dispatch, Write


@pytest.fixture
def with_old_campaign(with_sender: Dispatch, write: Write, database_url: str) -> Dispatch:
    """Campaign 1 was cancelled 50 days ago, and campaigns begin in the next partition by now."""

    async def pass_by() -> None:
        database = await Database.open(database_url, connections=1)
        await database.execute("UPDATE campaigns SET finished_at = finished_at - interval '50 days'")
        await database.execute("SELECT setval('campaigns_id_seq', 1001, false)")
        await database.close()

    assert with_sender("campaign", "create", write(PEOPLE), *OFFER).code == 0
    assert with_sender("campaign", "cancel", 1).code == 0
    asyncio.run(pass_by())
    return with_sender


def test_without_a_time_nothing_is_dropped(with_old_campaign: Dispatch) -> None:
    said = with_old_campaign("archive", "--now")
    assert said.code == ExitCode.WRONG
    assert "keep_campaigns_days" in said.err


def test_people_on_whom_meta_may_still_report_cannot_be_dropped(with_old_campaign: Dispatch) -> None:
    assert with_old_campaign("archive", "--now", "--keep-days", 35).code == ExitCode.WRONG


def test_what_may_go_is_shown_and_goes_only_when_that_is_ordered(
    with_old_campaign: Dispatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISPATCHER_KEEP_CAMPAIGNS_DAYS", "60")
    [kept] = with_old_campaign("archive", "--json").json["partitions"]
    assert kept["kept_because"] == ["young"]
    [shown] = with_old_campaign("archive", "--keep-days", 40, "--json").json["partitions"]
    assert (shown["first"], shown["campaigns"], shown["kept_because"]) == (1, 1, [])
    assert with_old_campaign("campaign", "export", 1).code == ExitCode.DONE
    assert "dropped" in with_old_campaign("archive", "--keep-days", 40, "--now").out
    assert "present partition" in with_old_campaign("archive").out
    [entry] = [e for e in with_old_campaign("audit", "--json").json["entries"] if "archived" in e["action"]]
    assert entry["subject"] == "campaigns 1 to 1000"


def test_a_campaign_whose_people_are_gone_has_its_report_and_says_so(with_old_campaign: Dispatch) -> None:
    before = with_old_campaign("campaign", "report", 1, "--json").json
    assert with_old_campaign("archive", "--keep-days", 40, "--now").code == ExitCode.DONE
    after = with_old_campaign("campaign", "report", 1, "--json").json
    assert after.pop("archived_at") is not None
    assert after | {"archived_at": None} == before
    assert "dropped as old" in with_old_campaign("campaign", "report", 1).out
    assert "people dropped" in with_old_campaign("campaign", "show", 1).out
    [listed] = with_old_campaign("campaign", "list", "--json").json["campaigns"]
    assert listed["counts"] == before["counts"]
    for asked in (("campaign", "export", 1, "--force"), ("message", "explain", f"1:{ANN}")):
        said = with_old_campaign(*asked)
        assert said.code == ExitCode.WRONG
        assert "were dropped on" in said.err
        assert "keep_campaigns_days" in said.err
    assert with_old_campaign("check").code == ExitCode.DONE
