"""Replies over HTTP: what may be said is said once and in order; what may not be is refused by name and leaves nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from front_door import FrontDoor
from support.builders import a_phone
from support.conversations import a_conversation, has_written
from support.waiting import wait_until

from dispatcher.channel.reply_payloads import content_of
from dispatcher.domain.access import Scope
from dispatcher.domain.contact import Contact, Contacts
from dispatcher.domain.ids import REPLIES
from dispatcher.domain.interactive import Button, Buttons, Choices, HeaderMedia, Link, Row, Section
from dispatcher.domain.reply import FreeForm, Location, Media, MediaKind, Reaction, Text

ANN, BOB, EVE = a_phone(1), a_phone(2), a_phone(3)
HELLO = {"type": "text", "body": "It comes\ntomorrow."}


@pytest.fixture
async def desk(door: FrontDoor) -> FrontDoor:
    """Ann has written to harbour; Bob has, too, but his window has closed."""
    harbour = await door.world.app.senders.named("harbour")
    await has_written(door.world, harbour, ANN)
    await a_conversation(door.world.app.database, harbour, BOB, open_for=timedelta(hours=-1))
    return door


def a_reply(person: str = ANN, **fields: Any) -> dict[str, Any]:
    """An order."""
    return {"sender": "harbour", "person": person, "content": HELLO} | fields


async def replies(desk: FrontDoor) -> int:
    return int(await desk.world.app.database.fetchval("SELECT count(*) FROM replies"))


async def test_a_reply_arrives_once_however_often_it_is_ordered(desk: FrontDoor) -> None:
    async with desk.world.workers(role="replies"):
        answers = await asyncio.gather(
            *(desk.call("POST", "/replies", json=a_reply(), once="ticket-1") for _ in range(5))
        )
        assert {(answer.status_code, answer.content) for answer in answers} == {(201, answers[0].content)}
        queued = answers[0].json()
        assert (queued["position"], queued["is_new"]) == (1, True)

        async def is_over() -> bool:
            return bool((await desk.get(f"/replies/{queued['id']}"))["reply"]["state"] == "accepted")

        await wait_until(is_over, description="it is sent")
    assert await desk.world.meta.arrived_ids(REPLIES) == [queued["id"]]
    assert await desk.world.meta.violations() == {}


KINDS: Sequence[tuple[dict[str, Any], FreeForm]] = [
    ({"type": "text", "body": "See x", "preview_url": True}, Text("See x", preview_url=True)),
    (
        {"type": "image", "source": "https://shop.example/a.png", "caption": "Look"},
        Media(MediaKind.IMAGE, "https://shop.example/a.png", "Look"),
    ),
    (
        {"type": "document", "source": "4711", "filename": "bill.pdf"},
        Media(MediaKind.DOCUMENT, "4711", None, "bill.pdf"),
    ),
    ({"type": "video", "source": "4711"}, Media(MediaKind.VIDEO, "4711")),
    ({"type": "audio", "source": "4711"}, Media(MediaKind.AUDIO, "4711")),
    ({"type": "sticker", "source": "4711"}, Media(MediaKind.STICKER, "4711")),
    (
        {"type": "location", "latitude": 52, "longitude": 13.5, "name": "Shop"},
        Location(52.0, 13.5, "Shop"),
    ),
    ({"type": "reaction", "wamid": "wamid.1", "emoji": ""}, Reaction("wamid.1", "")),
    (
        {"type": "contacts", "contacts": [{"name": "Ann B", "first_name": "Ann", "phones": [ANN]}]},
        Contacts([Contact("Ann B", "Ann", [ANN])]),
    ),
    (
        {
            "type": "buttons",
            "body": "When?",
            "buttons": [{"id": "am", "title": "Morning"}],
            "header": {"kind": "image", "source": "4711"},
            "footer": "Harbour",
        },
        Buttons("When?", [Button("am", "Morning")], HeaderMedia("image", "4711"), "Harbour"),
    ),
    (
        {
            "type": "list",
            "body": "Which?",
            "label": "Choose",
            "sections": [{"rows": [{"id": "1", "title": "One", "description": "the first"}]}],
            "header": "Sizes",
        },
        Choices("Which?", "Choose", [Section([Row("1", "One", "the first")])], "Sizes"),
    ),
    (
        {"type": "link", "body": "Here", "label": "Open", "url": "https://shop.example"},
        Link("Here", "Open", "https://shop.example"),
    ),
]


async def test_everything_that_can_be_said_can_be_ordered_and_stays_in_order(desk: FrontDoor) -> None:
    for given, _ in KINDS:
        await desk.post("/replies", a_reply(content=given), 201)
    found = (await desk.get("/replies"))["items"]
    assert [each["position"] for each in found] == list(range(len(KINDS), 0, -1))
    assert [each["content"] for each in reversed(found)] == [content_of(meant) for _, meant in KINDS]


async def test_a_refusal_names_its_cause_and_leaves_nothing(desk: FrontDoor) -> None:
    log = await desk.log()

    async def refused(order: dict[str, Any]) -> tuple[int, str, dict[str, Any]]:
        answer = await desk.call("POST", "/replies", json=order, once="ticket-1")
        assert answer.headers["content-type"] == "application/problem+json"
        told = answer.json()
        assert "nothing was queued" in told["detail"]
        assert told["hint"]
        return answer.status_code, told["type"].rpartition(":")[2], told

    assert (await refused(a_reply(EVE)))[:2] == (409, "no_conversation")
    status, kind, told = await refused(a_reply(BOB))
    assert (status, kind) == (409, "window_closed")
    closed_at = datetime.fromisoformat(told["window_closed_at"])
    assert timedelta(minutes=59) < datetime.now(UTC) - closed_at < timedelta(hours=2)
    long = {"type": "buttons", "body": "When?", "buttons": [{"id": "am", "title": "x" * 21}]}
    status, kind, told = await refused(a_reply(content=long))
    assert (status, kind, told["field"]) == (422, "bad_content", "buttons.1.title")
    assert "window_closed_at" not in told
    await desk.world.app.database.execute("UPDATE senders SET status = 'BANNED'")
    assert (await refused(a_reply()))[:2] == (409, "sender_blocked")
    assert await replies(desk) == 0
    assert await desk.world.app.database.fetchval("SELECT count(*) FROM answered_calls") == 0
    assert await desk.log() == log


async def test_a_replys_own_key_is_known_whoever_asks(desk: FrontDoor) -> None:
    other = await desk.a_key(Scope.REPLIES_WRITE)
    first = await desk.post("/replies", a_reply(key="ticket-1"), 201)
    again = await desk.post("/replies", a_reply(key="ticket-1"), 201, key=other)
    assert (again["id"], again["is_new"]) == (first["id"], False)
    taken = await desk.call(
        "POST", "/replies", json=a_reply(key="ticket-1", content={"type": "text", "body": "No."})
    )
    assert (taken.status_code, taken.json()["type"]) == (422, "urn:dispatcher:key_taken")
    assert await replies(desk) == 1


async def test_replies_are_listed_page_by_page_and_by_person(desk: FrontDoor) -> None:
    harbour = await desk.world.app.senders.named("harbour")
    await a_conversation(desk.world.app.database, harbour, EVE)
    order = [(await desk.post("/replies", a_reply(who), 201))["id"] for who in (ANN, EVE, ANN, ANN, EVE)]
    seen, cursor = [], ""
    while cursor is not None:
        page = await desk.get(f"/replies?limit=2{cursor and f'&cursor={cursor}'}")
        seen += [each["id"] for each in page["items"]]
        cursor = page["next"]
    assert seen == order[::-1]
    of_eve = await desk.get("/replies", params={"sender": "harbour", "person": EVE, "limit": 1})
    assert ([each["id"] for each in of_eve["items"]], of_eve["next"]) == ([order[4]], str(order[4]))
    of_nobody = await desk.get("/replies", params={"sender": "harbour", "person": BOB})
    assert of_nobody == {"items": [], "next": None}
    assert (await desk.call("GET", "/replies", params={"person": EVE})).status_code == 422


async def test_a_page_of_one_state_looks_no_further_than_it_may(
    desk: FrontDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dispatcher.ledger.replies.LOOK_MOST", 3)
    order = [(await desk.post("/replies", a_reply(), 201))["id"] for _ in range(6)]
    for gone in (order[0], order[5]):
        await desk.post(f"/replies/{gone}/cancel")
    pages, cursor = [], ""
    while cursor is not None:
        page = await desk.get(f"/replies?state=cancelled&limit=1{cursor and f'&cursor={cursor}'}")
        pages.append([each["id"] for each in page["items"]])
        cursor = page["next"]
    assert [number for page in pages for number in page] == [order[5], order[0]]
    assert [] in pages


async def test_a_reply_says_why_it_waits_and_can_be_given_up(desk: FrontDoor) -> None:
    first = (await desk.post("/replies", a_reply(), 201))["id"]
    second = (await desk.post("/replies", a_reply(context="wamid.1"), 201))["id"]
    waiting = await desk.get(f"/replies/{second}")
    assert waiting["explanation"]["binding"]["reason"] == "in_order"
    assert (waiting["reply"]["waits_for"], waiting["reply"]["context"]) == (first, "wamid.1")
    for _ in range(2):
        assert (await desk.post(f"/replies/{first}/cancel"))["reply"]["state"] == "cancelled"
    assert (await desk.get(f"/replies/{second}"))["explanation"]["binding"]["reason"] == "queued"
    await desk.world.app.database.execute("UPDATE replies SET state = 'accepted' WHERE id = $1", second)
    assert (await desk.call("POST", f"/replies/{second}/cancel")).status_code == 409
    assert (await desk.call("POST", "/replies/4711/cancel")).status_code == 404


async def test_orders_about_replies_are_in_the_log_without_what_they_say(desk: FrontDoor) -> None:
    one, two, three = [(await desk.post("/replies", a_reply(), 201, once=f"n-{n}"))["id"] for n in range(3)]
    await desk.post("/replies", a_reply(), 201, once="n-0")
    await desk.post(f"/replies/{one}/cancel")
    await desk.world.app.database.execute(
        "UPDATE replies SET state = 'unsure', posted_at = ledger_now(), reason = 'answer_lost', attempt = 1"
        " WHERE state = 'pending'"
    )
    page = await desk.get("/unsure/replies?limit=1")
    assert [each["reply_id"] for each in page["items"]] == [two]
    page = await desk.get(f"/unsure/replies?limit=1&cursor={page['next']}")
    assert ([each["reply_id"] for each in page["items"]], page["next"]) == ([three], None)
    settled = {"replies": [two], "state": "accepted"}
    assert await desk.post("/unsure/replies/settle", settled) == {"changed": 1}
    assert await desk.post("/unsure/replies/release", {}) == {"changed": 1}
    states = [each["state"] for each in (await desk.get("/replies"))["items"]]
    assert states == ["pending", "accepted", "cancelled"]
    entries = (await desk.get("/audit"))["items"][:6]
    assert [(each["action"], each["subject"]) for each in entries] == [
        ("unsure_released", "replies"),
        ("unsure_settled", "replies"),
        ("reply_cancelled", f"reply {one}"),
        *(("reply_queued", f"reply {number}") for number in (three, two, one)),
    ]
    assert entries[1]["after"] == {"state": "accepted", "replies": {"number": 1, "first": [two]}}
    assert entries[5]["after"]["kind"] == "text"
    assert {each["actor"] for each in entries} == {f"{desk.key[3:15]} test"}
    assert "tomorrow" not in str(entries)


@pytest.fixture
async def street(door: FrontDoor) -> AsyncIterator[FrontDoor]:
    """Whoever writes is heard."""
    async with door.world.webhooks(), door.world.intake():
        yield door


async def test_a_conversation_is_heard_marked_answered_and_read(street: FrontDoor) -> None:
    desk = street
    number = (await desk.world.app.senders.named("harbour")).phone_number_id
    assert (
        await desk.call("POST", "/replies/read", json={"sender": "harbour", "person": ANN})
    ).status_code == 409
    wamid = await desk.world.meta.writes(number, ANN, "Where is my parcel?")

    async def has_come() -> bool:
        return bool((await desk.get("/conversations"))["items"])

    await wait_until(has_come, description="Ann is heard")
    [conversation] = (await desk.get("/conversations", params={"sender": "harbour"}))["items"]
    assert (conversation["person"], conversation["window"]["is_open"]) == (ANN, True)
    marked = await desk.post("/replies/read", {"sender": "harbour", "person": ANN, "typing": True})
    assert marked == {"wamid": wamid, "typing": True}
    async with desk.world.workers(role="replies"):
        reply = await desk.post("/replies", a_reply(context=wamid), 201)

        async def is_answered() -> bool:
            return bool((await desk.get(f"/replies/{reply['id']}"))["reply"]["state"] == "accepted")

        await wait_until(is_answered, description="Ann is answered")
    said = (await desk.get(f"/conversations/{conversation['id']}"))["messages"]
    assert [(line["is_inbound"], line["kind"], line["text"]) for line in said] == [
        (False, "text", HELLO["body"]),
        (True, "text", "Where is my parcel?"),
    ]
    assert (said[1]["wamid"], said[1]["content"]["text"]["body"]) == (wamid, "Where is my parcel?")
    assert (await desk.call("GET", "/conversations/4711")).status_code == 404


async def test_conversations_are_listed_page_by_page_the_last_heard_first(door: FrontDoor) -> None:
    database = door.world.app.database
    harbour = await door.world.app.senders.named("harbour")
    other = await door.world.a_sender("beach")
    made = [await a_conversation(database, harbour, a_phone(n)) for n in range(9)]
    elsewhere = await a_conversation(database, other, a_phone(1))
    # Three write at one moment, three one after the other, and three have only called.
    now = datetime.now(UTC)
    times = [now - timedelta(hours=1)] * 3 + [now - timedelta(minutes=n) for n in range(3, 6)] + [None] * 3
    await database.execute(
        "UPDATE conversations SET last_inbound_at = at FROM unnest($1::bigint[], $2::timestamptz[]) AS n (number, at)"
        " WHERE id = number",
        made,
        times,
    )
    heard = [made[3], made[4], made[5], made[2], made[1], made[0]]
    for limit in (1, 2, 4, 9):
        seen: list[int] = []
        cursor: str | None = ""
        while cursor is not None:
            page = await door.get(
                f"/conversations?sender=harbour&limit={limit}{cursor and f'&cursor={cursor}'}"
            )
            seen += [each["id"] for each in page["items"]]
            cursor = page["next"]
        assert seen == [*heard, made[8], made[7], made[6]], limit
    everybody = [each["id"] for each in (await door.get("/conversations"))["items"]]
    assert everybody == [elsewhere, *heard, made[8], made[7], made[6]]


async def test_a_persons_way_on_and_off_the_list_is_told(door: FrontDoor) -> None:
    await door.post("/suppressions", {"people": [ANN], "reason": "asked_not_to"})
    await door.post("/suppressions/remove", {"people": [ANN]})
    told = (await door.get(f"/suppressions/{ANN}/history"))["items"]
    by_key = f"key {door.key[3:15]}"
    assert [(each["change"], each["reason"], each["source"]) for each in told] == [
        ("added", "asked_not_to", by_key),
        ("removed", "asked_not_to", by_key),
    ]
    assert (await door.get("/suppressions/US.1/history"))["items"] == []
    assert (await door.call("GET", "/suppressions/nobody/history")).status_code == 422
