"""Senders, suppressions and what operators decide, over HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from front_door import FrontDoor
from support.builders import a_phone
from support.meta import TOKEN as SANDBOX_TOKEN

TOKEN = "EAAG-the-token-of-the-new-number"


def a_number(**fields: Any) -> dict[str, Any]:
    """An order that makes a number known."""
    return {
        "name": "beach",
        "phone": "+12025550100",
        "phone_number_id": "200000000000777",
        "waba_id": "100000000000777",
        "token": TOKEN,
        "tier": "TIER_1K",
        "rate": "40/s",
    } | fields


async def test_a_number_is_made_known_and_its_token_never_shown(door: FrontDoor) -> None:
    made = await door.post("/senders", a_number(), 201, once="beach")
    assert (made["token"], made["tier"], made["rate_per_s"]) == ("sealed", 1_000, 40.0)
    assert await door.post("/senders", a_number(), 201, once="beach") == made
    assert (await door.call("POST", "/senders", json=a_number())).status_code == 409
    sender = await door.world.app.senders.named("beach")
    assert door.world.app.vault.read(sender.token_ref) == TOKEN
    listed = await door.call("GET", "/senders")
    assert TOKEN not in listed.text + (await door.call("GET", "/audit")).text
    assert [each["name"] for each in listed.json()["items"]] == ["beach", "harbour"]


async def test_workers_post_with_a_sealed_token(door: FrontDoor) -> None:
    changed = await door.call(
        "PATCH", "/senders/harbour", json={"token": SANDBOX_TOKEN}, headers={"If-Match": "*"}
    )
    assert changed.json()["token"] == "sealed"
    campaign = await door.world.a_campaign(people=5)
    async with door.world.workers():
        counts = await door.world.becomes(campaign)
    assert counts.accepted == 5


async def test_a_sender_tells_what_it_may_and_what_it_has_used(door: FrontDoor) -> None:
    await door.world.a_sender("beach", tier=250)
    shown = await door.get("/senders/beach")
    assert (shown["may_send"], shown["holds"]) == (True, [])
    changed = await door.call("PATCH", "/senders/beach", json={"status": "BANNED"}, headers={"If-Match": "*"})
    assert changed.status_code == 200
    shown = await door.get("/senders/beach")
    assert (shown["may_send"], shown["holds"][0]["reason"]) == (False, "sender_blocked")
    assert "BANNED" in shown["holds"][0]["detail"]


async def test_a_change_needs_what_was_seen(door: FrontDoor) -> None:
    seen = (await door.call("GET", "/senders/harbour")).headers["etag"]
    first = await door.call("PATCH", "/senders/harbour", json={"rate": "20/s"}, headers={"If-Match": seen})
    assert first.json()["rate_per_s"] == 20.0
    second = await door.call("PATCH", "/senders/harbour", json={"rate": "10/s"}, headers={"If-Match": seen})
    assert second.status_code == 412
    third = await door.call(
        "PATCH", "/senders/harbour", json={"token": TOKEN}, headers={"If-Match": first.headers["etag"]}
    )
    assert third.json()["token"] == "sealed"
    assert (await door.get("/senders/harbour"))["rate_per_s"] == 20.0


@pytest.mark.settings(seal_key=None)
async def test_without_a_key_for_sealing_no_token_is_taken(door: FrontDoor) -> None:
    refused = await door.call("POST", "/senders", json=a_number())
    assert refused.status_code == 422
    assert "seal_key" in refused.json()["detail"]
    assert TOKEN not in refused.text


async def test_templates_are_read_anew_and_tell_their_slots(door: FrontDoor) -> None:
    read = await door.post("/senders/harbour/templates")
    known = (await door.get("/templates"))["items"]
    assert [each["name"] for each in read["items"]] == [each["name"] for each in known] == ["autumn"]
    assert [slot["path"] for slot in known[0]["slots"]] == ["body.1", "body.2"]
    assert (await door.post("/senders/harbour/lift-holds"))["may_send"]


async def test_people_are_suppressed_all_or_none(door: FrontDoor) -> None:
    numbers = [a_phone(n) for n in range(5)]
    assert await door.post("/suppressions", {"people": numbers}) == {"given": 5, "changed": 5}
    assert await door.post("/suppressions", {"people": numbers[:2]}) == {"given": 2, "changed": 0}
    refused = await door.call("POST", "/suppressions", json={"people": [a_phone(9), "call me"]})
    assert refused.status_code == 422
    first = await door.get("/suppressions", params={"limit": 3})
    last = await door.get("/suppressions", params={"limit": 3, "cursor": first["next"]})
    assert [each["person"] for each in first["items"] + last["items"]] == numbers
    assert last["next"] is None
    gone = await door.post("/suppressions/remove", {"people": [numbers[0], a_phone(9)]})
    assert gone == {"given": 2, "changed": 1}


async def test_unsure_messages_are_listed_and_settled(door: FrontDoor) -> None:
    campaign = await door.world.a_campaign(people=4)
    await door.world.app.database.execute(
        """UPDATE messages SET state = 'unsure', sender_id = $1, posted_at = now(), attempt = 1 WHERE campaign_id = $2""",
        campaign.senders[0],
        campaign.id,
    )
    await door.world.app.database.execute("UPDATE lanes SET unsure = 4 WHERE campaign_id = $1", campaign.id)
    first = await door.get("/unsure", params={"limit": 3})
    last = await door.get("/unsure", params={"limit": 3, "cursor": first["next"]})
    ids = [each["message_id"] for each in first["items"] + last["items"]]
    assert (len(ids), last["next"]) == (4, None)
    settled = await door.post(
        "/unsure/settle", {"campaign_id": campaign.id, "messages": ids[:1], "state": "accepted"}
    )
    assert settled == {"changed": 1}
    assert await door.post("/unsure/release", {"campaign_id": campaign.id}) == {"changed": 3}
    counts = (await door.get(f"/campaigns/{campaign.id}"))["counts"]
    assert (counts["accepted"], counts["pending"], counts["unsure"]) == (1, 3, 0)


async def test_what_is_in_quarantine_is_listed_replayed_and_discarded(door: FrontDoor) -> None:
    sql = "INSERT INTO quarantine (received_at, reason, detail, body) VALUES (now(), 'unreadable', 'no JSON', 'x')"
    for _ in range(3):
        await door.world.app.database.execute(sql)
    page = await door.get("/quarantine", params={"limit": 2})
    ids = [each["id"] for each in page["items"]]
    assert ids == sorted(ids, reverse=True)
    assert len((await door.get("/quarantine", params={"cursor": page["next"]}))["items"]) == 1
    shown = await door.get(f"/quarantine/{ids[0]}")
    assert (shown["content"], shown["bytes"], shown["reason"]) == ("x", 1, "unreadable")
    assert (await door.call("GET", "/quarantine/999")).status_code == 404
    assert await door.post("/quarantine/replay", {"ids": ids[:1]}) == {"changed": 1}
    assert await door.post("/quarantine/discard", {"ids": [*ids, 999]}) == {"changed": 1}
