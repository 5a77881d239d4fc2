"""Single messages: outside any campaign, with everything that is promised of campaigns."""

from __future__ import annotations

from typing import Any

import pytest
from front_door import FrontDoor
from support.builders import a_phone
from support.waiting import wait_until

CODE = {
    "name": "parcel",
    "language": "en_US",
    "category": "UTILITY",
    "components": [{"type": "BODY", "text": "Dear {{1}}, your parcel comes {{2}} by noon."}],
}
VALUES = {"body.1": "Ann", "body.2": "tomorrow"}


@pytest.fixture
async def shop(door: FrontDoor) -> FrontDoor:
    """An account that has a template for parcels."""
    await door.world.meta.has_template(CODE)
    await door.post("/senders/harbour/templates")
    return door


def a_message(n: int = 1, **fields: Any) -> dict[str, Any]:
    """An order."""
    order = {"sender": "harbour", "to": a_phone(n), "template": "parcel", "language": "en_US"}
    return order | {"values": VALUES} | fields


async def test_a_message_arrives_once_however_often_it_is_ordered(shop: FrontDoor) -> None:
    first = await shop.post("/messages", a_message(), 201, once="parcel-4711")
    repeated = await shop.call("POST", "/messages", json=a_message(), once="parcel-4711")
    assert repeated.json() == first
    assert repeated.headers["idempotent-replayed"] == "true"
    async with shop.world.workers():
        await wait_until(lambda: _is_over(shop, first["id"]), description="it is sent")
    shown = await shop.get(f"/messages/{first['id']}")
    assert shown["message"]["state"] == "accepted"
    assert [each.person for each in await shop.world.meta.arrived()] == [a_phone(1)]


async def _is_over(shop: FrontDoor, number: int) -> bool:
    return bool((await shop.get(f"/messages/{number}"))["is_over"])


async def test_one_person_may_get_several(shop: FrontDoor) -> None:
    made = [await shop.post("/messages", a_message(), 201) for _ in range(3)]
    async with shop.world.workers():
        for each in made:
            await wait_until(lambda each=each: _is_over(shop, each["id"]), description="it is sent")
    assert [each.person for each in await shop.world.meta.arrived()] == [a_phone(1)] * 3


async def test_marketing_does_not_go_out_by_single_messages(shop: FrontDoor) -> None:
    refused = await shop.call("POST", "/messages", json=a_message(template="autumn"))
    assert refused.status_code == 422
    assert "for marketing" in refused.json()["detail"]


async def test_what_cannot_be_sent_is_said_at_once_and_leaves_nothing(shop: FrontDoor) -> None:
    for order, told in (
        (a_message(to="call me"), "no number that can be written to"),
        (a_message(values={"body.1": "Ann"}), "cannot be filled"),
        (a_message(values={**VALUES, "body.1": "two\nlines"}), "none of 1 rows"),
        (a_message(values={**VALUES, "body.9": "x"}), "cannot be filled"),
        (a_message(sender="nobody"), "no sender"),
    ):
        refused = await shop.call("POST", "/messages", json=order)
        assert refused.status_code in {404, 422}, refused.text
        assert told in refused.json()["detail"]
    assert await shop.world.app.database.fetchval("SELECT count(*) FROM campaigns") == 0


async def test_single_messages_are_no_campaigns_in_lists(shop: FrontDoor) -> None:
    single = (await shop.post("/messages", a_message(), 201))["id"]
    campaign = await shop.a_draft()
    assert [each["id"] for each in (await shop.get("/campaigns"))["items"]] == [campaign]
    assert (await shop.call("GET", f"/messages/{campaign}")).status_code == 404
    assert (await shop.get(f"/messages/{single}"))["message"]["person"] == a_phone(1)
    assert [each.campaign.id for each in await shop.world.app.campaigns.recent()] == [campaign]


async def test_a_message_that_waits_says_why_and_can_be_cancelled(shop: FrontDoor) -> None:
    await shop.call("PATCH", "/senders/harbour", json={"enabled": False}, headers={"If-Match": "*"})
    number = (await shop.post("/messages", a_message(metadata={"order": "4711"}), 201))["id"]
    waiting = await shop.get(f"/messages/{number}")
    assert waiting["metadata"] == {"order": "4711"}
    assert waiting["explanation"]["lanes"][0]["binding"][0]["reason"] == "sender_disabled"
    for _ in range(2):
        cancelled = await shop.post(f"/messages/{number}/cancel")
        assert (cancelled["message"]["state"], cancelled["is_over"]) == ("cancelled", True)


async def test_who_is_suppressed_gets_no_single_message_either(shop: FrontDoor) -> None:
    await shop.post("/suppressions", {"people": [a_phone(1)]})
    number = (await shop.post("/messages", a_message(), 201))["id"]
    assert (await shop.get(f"/messages/{number}"))["message"]["state"] == "suppressed"
