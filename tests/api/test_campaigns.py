"""Campaigns over HTTP: ordered, filled in three ways, sent, followed, exported."""

from __future__ import annotations

import csv as csv_reader
import gzip
import io

import orjson
import pytest
from front_door import FrontDoor, csv, ndjson, people
from support.builders import a_phone

from dispatcher.domain.campaign import CampaignState
from dispatcher.domain.ids import CampaignId


async def test_a_campaign_goes_from_its_order_to_its_export(door: FrontDoor) -> None:
    campaign = await door.a_draft(metadata={"order": "4711"}, weight=3)
    uploaded = await door.post(f"/campaigns/{campaign}/people", {"people": people(20)}, 201)
    assert uploaded == {"upload": 1, "rows": 20, "people": 20, "suppressed": 0, "rejected": {}}
    async with door.world.workers():
        assert (await door.post(f"/campaigns/{campaign}/start"))["state"] in {"running", "completed"}
        order = await door.world.app.campaigns.find(CampaignId(campaign))
        await door.world.becomes(order, CampaignState.COMPLETED)
    shown = await door.get(f"/campaigns/{campaign}")
    assert (shown["counts"]["accepted"], shown["counts"]["audience"]) == (20, 20)
    assert (shown["metadata"], shown["weight"], shown["senders"]) == ({"order": "4711"}, 3, ["harbour"])
    exported = await door.call("GET", f"/campaigns/{campaign}/export")
    assert [orjson.loads(line)["state"] for line in exported.text.splitlines()] == ["accepted"] * 20
    await door.world.both_ends_agree(order)


async def test_pages_a_stream_and_csv_make_the_same_ledger(door: FrontDoor) -> None:
    rows = [
        *people(30),
        {"phone": "call me", "first_name": "Cid"},
        {"phone": a_phone(3), "first_name": "Eve"},
    ]
    by_page = await door.a_draft()
    for start in range(0, len(rows), 8):
        await door.post(f"/campaigns/{by_page}/people", {"people": rows[start : start + 8]}, 201)
    by_stream, by_csv, by_gzip = [await door.a_draft() for _ in range(3)]
    assert (await door.stream(by_stream, ndjson(rows))).status_code == 201
    assert (await door.stream(by_csv, csv(rows), "text/csv")).status_code == 201
    assert (await door.stream(by_gzip, gzip.compress(ndjson(rows)))).status_code == 201
    wanted = await door.rows(by_page)
    assert len(wanted) == 30
    assert await door.rows(by_stream) == await door.rows(by_gzip) == wanted
    assert [row[1:] for row in await door.rows(by_csv)] == [row[1:] for row in wanted]
    counts = [(await door.get(f"/campaigns/{each}"))["counts"] for each in (by_page, by_stream, by_csv)]
    assert counts[0] == counts[1] == counts[2]
    assert await door.world.app.campaigns.check() == []


async def test_a_bad_row_never_fails_an_upload_and_is_listed_with_its_line(door: FrontDoor) -> None:
    campaign = await door.a_draft()
    await door.post(f"/campaigns/{campaign}/people", {"people": people(2)}, 201)
    bad = [7, {"first_name": "Ann"}, {"phone": "call me", "first_name": "Bob"}, {"phone": a_phone(8)}]
    uploaded = await door.post(f"/campaigns/{campaign}/people", {"people": [*bad, *people(1)]}, 201)
    assert (uploaded["upload"], uploaded["people"], sum(uploaded["rejected"].values())) == (2, 0, 5)
    first = await door.get(f"/campaigns/{campaign}/rejected", params={"limit": 4})
    assert [(row["upload"], row["line"], row["reason"]) for row in first["items"]] == [
        (2, 1, "not_an_object"),
        (2, 2, "empty_number"),
        (2, 3, "not_a_number"),
        (2, 4, "missing_value"),
    ]
    last = await door.get(f"/campaigns/{campaign}/rejected", params={"cursor": first["next"]})
    [duplicate] = last["items"]
    assert duplicate["value"] == f"same person as line 1 of upload 1: {a_phone(0)}"
    assert last["next"] is None
    listed = (await door.get(f"/campaigns/{campaign}/uploads"))["items"]
    assert [(each["people"], each["rejected"]) for each in listed] == [(2, 0), (0, 5)]


async def test_who_is_suppressed_is_left_out_of_every_upload(door: FrontDoor) -> None:
    await door.post("/suppressions", {"people": [a_phone(1), a_phone(11)]})
    campaign = await door.a_draft()
    for first in (0, 10):
        uploaded = await door.post(f"/campaigns/{campaign}/people", {"people": people(3, first)}, 201)
        assert (uploaded["people"], uploaded["suppressed"]) == (3, 1)
    assert (await door.get(f"/campaigns/{campaign}"))["counts"]["suppressed"] == 2
    assert await door.world.app.campaigns.check() == []


async def test_a_stream_that_breaks_off_leaves_nothing_and_can_be_repeated(door: FrontDoor) -> None:
    campaign = await door.a_draft()
    broken = gzip.compress(ndjson(people(1_000)))[:-20]
    refused = await door.stream(campaign, broken, once="the-stream")
    assert refused.status_code == 422
    assert "damaged or cut off" in refused.json()["detail"]
    assert await door.rows(campaign) == []
    whole = await door.stream(campaign, ndjson(people(1_000)), once="the-stream")
    assert whole.json()["people"] == 1_000


async def test_a_started_campaign_takes_nobody_any_more(door: FrontDoor) -> None:
    campaign = await door.a_draft()
    await door.post(f"/campaigns/{campaign}/start", status=409)
    await door.post(f"/campaigns/{campaign}/people", {"people": people(1)}, 201)
    await door.post(f"/campaigns/{campaign}/start")
    refused = await door.call("POST", f"/campaigns/{campaign}/people", json={"people": people(1, 5)})
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:dispatcher:conflict")


async def test_orders_can_be_repeated(door: FrontDoor) -> None:
    campaign = await door.a_draft()
    await door.post(f"/campaigns/{campaign}/people", {"people": people(3)}, 201)
    for order, state in (("start", "running"), ("resume", "running")):
        assert (await door.post(f"/campaigns/{campaign}/{order}"))["state"] == state
    for order, state in (
        ("pause", "paused"),
        ("pause", "paused"),
        ("cancel", "cancelled"),
        ("cancel", "cancelled"),
    ):
        stopped = await door.post(f"/campaigns/{campaign}/{order}")
        assert stopped["campaign"]["state"] == state
        assert stopped["handed_over"] == stopped["still_in_flight"] == 0
    assert (await door.get(f"/campaigns/{campaign}"))["counts"]["cancelled"] == 3


async def test_why_it_waits_is_told(door: FrontDoor) -> None:
    campaign = await door.a_draft()
    await door.post(f"/campaigns/{campaign}/people", {"people": people(3)}, 201)
    told = await door.get(f"/campaigns/{campaign}/explanation")
    assert told["binding"]["reason"] == "not_started"
    by_number = await door.get(f"/campaigns/{campaign}/messages/to", params={"person": a_phone(1)})
    by_id = await door.get(f"/campaigns/{campaign}/messages/{by_number['message']['id']}")
    assert by_id == by_number
    assert by_id["explanation"]["binding"]["reason"] == "not_started"


async def test_what_was_seen_before_a_change_of_somebody_else_cannot_be_changed(door: FrontDoor) -> None:
    campaign = await door.a_draft()
    path = f"/campaigns/{campaign}"
    seen = (await door.call("GET", path)).headers["ETag"]
    changed = await door.call("PATCH", path, json={"priority": 10}, headers={"If-Match": seen})
    assert (changed.status_code, changed.json()["priority"]) == (200, 10)
    late = await door.call("PATCH", path, json={"name": "winter"}, headers={"If-Match": seen})
    assert (late.status_code, late.json()["type"]) == (412, "urn:dispatcher:outdated")
    blind = await door.call("PATCH", path, json={"name": "winter"}, headers={"If-Match": "*"})
    assert blind.json()["name"] == "winter"
    unsaid = await door.call("PATCH", path, json={"name": "spring"})
    assert unsaid.status_code == 400
    assert (await door.get(path))["name"] == "winter"


async def test_messages_are_paged_by_state_and_no_page_is_lost(door: FrontDoor) -> None:
    campaign = await door.a_draft()
    await door.post("/suppressions", {"people": [a_phone(n) for n in range(0, 60, 20)]})
    await door.stream(campaign, ndjson(people(60)))
    found, cursor, pages = [], None, 0
    while True:
        params = {"limit": 25} | ({"cursor": cursor} if cursor else {})
        page = await door.get(f"/campaigns/{campaign}/messages", params=params)
        found += [line["person"] for line in page["items"]]
        pages += 1
        if (cursor := page["next"]) is None:
            break
    assert found == [a_phone(n) for n in range(60)]
    assert pages == 3
    suppressed = await door.get(f"/campaigns/{campaign}/messages", params={"state": "suppressed"})
    assert [line["person"] for line in suppressed["items"]] == [a_phone(n) for n in range(0, 60, 20)]
    none = await door.get(f"/campaigns/{campaign}/messages", params={"state": "accepted"})
    assert none == {"items": [], "next": None}


async def test_a_page_looks_at_a_bounded_number_of_messages_and_says_where_to_go_on(
    door: FrontDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dispatcher.ledger.listings.LOOK_MOST", 10)
    await door.post("/suppressions", {"people": [a_phone(34)]})
    campaign = await door.a_draft()
    await door.stream(campaign, ndjson(people(40)))
    path, params = f"/campaigns/{campaign}/messages", {"state": "suppressed", "limit": 5}
    sizes, cursor = [], None
    while True:
        page = await door.get(path, params=params | ({"cursor": cursor} if cursor else {}))
        sizes.append(len(page["items"]))
        if (cursor := page["next"]) is None:
            break
    assert sizes[:4] == [0, 0, 0, 1]
    assert sum(sizes) == 1


async def test_campaigns_are_listed_from_the_newest_on(door: FrontDoor) -> None:
    made = [await door.a_draft(name=f"campaign {n}") for n in range(5)]
    await door.post(f"/campaigns/{made[1]}/cancel")
    first = await door.get("/campaigns", params={"limit": 3})
    second = await door.get("/campaigns", params={"limit": 3, "cursor": first["next"]})
    assert [each["id"] for each in first["items"] + second["items"]] == made[::-1]
    assert second["next"] is None
    cancelled = await door.get("/campaigns", params={"state": "cancelled"})
    assert [each["id"] for each in cancelled["items"]] == [made[1]]


async def test_the_export_names_everybody_and_every_rejected_row(door: FrontDoor) -> None:
    campaign = await door.a_draft()
    await door.stream(campaign, csv([*people(3), {"phone": "call me", "first_name": "Cid"}]), "text/csv")
    answer = await door.call("GET", f"/campaigns/{campaign}/export", params={"format": "csv"})
    rows = list(csv_reader.DictReader(io.StringIO(answer.text)))
    assert [(row["upload"], row["line"], row["phone"], row["state"]) for row in rows] == [
        ("1", "2", a_phone(0), "pending"),
        ("1", "3", a_phone(1), "pending"),
        ("1", "4", a_phone(2), "pending"),
        ("1", "5", "call me", "rejected"),
    ]


async def test_progress_is_told_until_the_campaign_is_over(door: FrontDoor) -> None:
    campaign = await door.a_draft()
    await door.post(f"/campaigns/{campaign}/people", {"people": people(3)}, 201)
    headers = {"Authorization": f"Bearer {door.key}"}
    events: list[tuple[str, str]] = []
    async with door.client.stream("GET", f"/v1/campaigns/{campaign}/events", headers=headers) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        name = ""
        async for line in answer.aiter_lines():
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: "):
                events.append((name, orjson.loads(line.removeprefix("data: "))["state"]))
                if len(events) == 1:
                    await door.post(f"/campaigns/{campaign}/cancel")
    assert events[0] == ("progress", "draft")
    assert events[-1] == ("end", "cancelled")


async def test_all_senders_of_a_portfolio_that_are_switched_on_share_a_campaign(door: FrontDoor) -> None:
    for name, enabled in (("one", True), ("two", True), ("three", False)):
        await door.world.a_sender(name, portfolio_id="777", enabled=enabled)
    campaign = await door.a_draft(senders={"portfolio_id": "777"})
    assert (await door.get(f"/campaigns/{campaign}"))["senders"] == ["one", "two"]
    nobody = {"name": "x", "template": "autumn", "language": "en_US", "senders": {"portfolio_id": "1"}}
    await door.post("/campaigns", nobody, 422)


async def test_a_mapping_that_does_not_fit_the_template_is_explained(door: FrontDoor) -> None:
    order = {"name": "x", "template": "autumn", "language": "en_US", "senders": ["harbour"]}
    refused = await door.call("POST", "/campaigns", json=order)
    assert (refused.status_code, refused.headers["content-type"]) == (422, "application/problem+json")
    assert [problem.partition(":")[0] for problem in refused.json()["problems"]] == ["body.1", "body.2"]
    unknown = await door.call("POST", "/campaigns", json=order | {"template": "spring"})
    assert unknown.status_code == 404
    assert (await door.get("/campaigns"))["items"] == []
