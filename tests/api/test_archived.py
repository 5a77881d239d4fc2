"""Campaigns whose people were dropped as old, seen from outside: 410 for the people, everything else as before."""

from __future__ import annotations

from datetime import timedelta

import pytest
from front_door import FrontDoor, people
from support.builders import a_phone

KEEP = timedelta(days=36)


@pytest.fixture
async def archived(door: FrontDoor) -> int:
    """A cancelled campaign of 50 days ago, dropped."""
    campaign = await door.a_draft()
    await door.post(f"/campaigns/{campaign}/people", {"people": people(3)}, 201)
    await door.post(f"/campaigns/{campaign}/cancel")
    database = door.world.app.database
    await database.execute("UPDATE campaigns SET finished_at = finished_at - interval '50 days'")
    await database.execute("SELECT setval('campaigns_id_seq', 1001, false)")
    assert [kept for _, kept in await door.world.app.archive.drop_all(KEEP)] == [[]]
    return campaign


@pytest.mark.parametrize(
    "path", ["messages", "messages/1", f"messages/to?person=%2B{a_phone(1)[1:]}", "export", "rejected"]
)
async def test_whoever_asks_for_people_who_were_dropped_is_told_so(
    door: FrontDoor, archived: int, path: str
) -> None:
    answer = await door.call("GET", f"/campaigns/{archived}/{path}")
    assert answer.status_code == 410
    assert answer.json()["type"] == "urn:dispatcher:archived"
    assert "keep_campaigns_days" in answer.json()["detail"]


async def test_counts_and_uploads_of_an_archived_campaign_stay(door: FrontDoor, archived: int) -> None:
    shown = await door.get(f"/campaigns/{archived}")
    assert (shown["counts"]["audience"], shown["counts"]["cancelled"]) == (3, 3)
    assert shown["archived_at"] is not None
    [listed] = (await door.get("/campaigns"))["items"]
    assert listed["archived_at"] == shown["archived_at"]
    assert len((await door.get(f"/campaigns/{archived}/uploads"))["items"]) == 1
