"""Subscriptions over the API: made once with a secret that is shown once, changed by ETag, their dead letters replayed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from front_door import FrontDoor
from support.outbox import Post

from benchmarks.receiver import Receiver, receiving
from dispatcher.domain.event import EventKind

pytestmark = pytest.mark.settings(events_networks=["127.0.0.0/8"])


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as made:
        yield made


async def made(door: FrontDoor, receiver: Receiver, *kinds: str, **fields: Any) -> dict[str, Any]:
    """A subscription, as its creation is answered."""
    order = {"url": receiver.url, "kinds": list(kinds) or ["campaign.*"], **fields}
    return dict(await door.post("/subscriptions", order, 201))


async def deliver(door: FrontDoor) -> None:
    """What a worker does, once."""
    for turn in await door.world.app.deliveries.due(10):
        await door.world.app.deliveries.serve(turn)


async def test_a_secret_is_shown_once_and_signs_what_comes(door: FrontDoor, receiver: Receiver) -> None:
    order = {"url": receiver.url, "kinds": ["campaign.started", "sender.*"], "senders": ["harbour"]}
    first = await door.call("POST", "/subscriptions", json=order, once="shop")
    assert first.status_code == 201
    assert first.headers["cache-control"] == "no-store"
    shop = first.json()
    assert shop["secret"].startswith("whsec_")
    assert (shop["enabled"], shop["senders"], shop["delivery"]["pending"]) == (True, ["harbour"], 0)

    again = await door.call("POST", "/subscriptions", json=order, once="shop")
    assert again.headers["idempotent-replayed"] == "true"
    assert again.json() == shop | {"secret": None}
    [listed] = (await door.get("/subscriptions"))["items"]
    assert listed == {name: value for name, value in shop.items() if name != "secret"}

    receiver.secrets.append(shop["secret"])
    ping = await door.post(f"/subscriptions/{shop['id']}/ping")
    await deliver(door)
    assert [(event["id"], event["kind"]) for event in receiver.events] == [
        (ping["event"], "subscription.ping")
    ]
    assert receiver.got[0].status == 200

    rotated = await door.post(f"/subscriptions/{shop['id']}/rotate-secret")
    receiver.secrets = [rotated["secret"]]
    await door.post(f"/subscriptions/{shop['id']}/ping")
    await deliver(door)
    assert [got.status for got in receiver.got] == [200, 200]
    assert (await door.get(f"/subscriptions/{shop['id']}"))["former_secret_until"] is not None


@pytest.mark.parametrize(
    ("order", "status", "said"),
    [
        ({"url": "http://10.0.0.1/", "kinds": ["*"]}, 422, "which is a private network"),
        ({"url": "https://169.254.169.254/latest", "kinds": ["*"]}, 422, "which is the local link"),
        ({"url": "https://user@127.0.0.1/", "kinds": ["*"]}, 422, "no address for events"),
        ({"url": "http://127.0.0.1/", "kinds": ["*"], "senders": ["nobody"]}, 404, "not all of these"),
        ({"url": "http://127.0.0.1/", "kinds": []}, 400, "kinds"),
        ({"url": "http://127.0.0.1/", "kinds": ["message.nonsense"]}, 400, "kinds"),
        ({"url": "ftp://127.0.0.1/", "kinds": ["*"]}, 400, "url"),
        ({"url": "http://127.0.0.1/", "kinds": ["*"], "senders": []}, 400, "senders"),
    ],
)
async def test_what_cannot_be_is_refused_and_nothing_is_kept(
    door: FrontDoor, order: dict[str, Any], status: int, said: str
) -> None:
    refused = await door.call("POST", "/subscriptions", json=order)
    assert refused.status_code == status
    assert said in refused.text
    assert (await door.get("/subscriptions"))["items"] == []


async def test_a_subscription_is_changed_by_whoever_saw_it(door: FrontDoor, receiver: Receiver) -> None:
    shop = await made(door, receiver)
    path = f"/subscriptions/{shop['id']}"
    seen = await door.call("GET", path)
    etag = {"If-Match": seen.headers["etag"]}
    changed = await door.call("PATCH", path, json={"kinds": ["receipt.*", "*"]}, headers=etag)
    assert changed.json()["kinds"] == ["*", "receipt.*"]
    assert changed.headers["etag"] != seen.headers["etag"]
    assert (await door.call("PATCH", path, json={"enabled": False}, headers=etag)).status_code == 412

    stopped = await door.call("PATCH", path, json={"enabled": False}, headers={"If-Match": "*"})
    assert (stopped.json()["enabled"], stopped.json()["stopped"]) == (False, "by_order")
    assert (await door.call("POST", f"{path}/ping")).status_code == 409
    started = await door.call(
        "PATCH", path, json={"enabled": True, "senders": ["harbour"]}, headers={"If-Match": "*"}
    )
    assert (started.json()["enabled"], started.json()["stopped"]) == (True, None)
    assert started.json()["senders"] == ["harbour"]
    forbidden = await door.call("PATCH", path, json={"url": "https://10.0.0.1/"}, headers={"If-Match": "*"})
    assert forbidden.status_code == 422
    assert (await door.call("DELETE", path)).json()["id"] == shop["id"]
    for method, rest in (("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/ping"), ("GET", "/dead")):
        answer = await door.call(method, path + rest, json={}, headers={"If-Match": "*"})
        assert answer.status_code == 404, (method, rest)
    actions = [entry.action for entry in await door.log() if "subscription" in entry.action]
    assert actions == [
        "subscription_removed",
        *["subscription_changed"] * 3,
        "subscription_added",
    ]


async def test_dead_letters_are_listed_replayed_and_purged_by_their_ids(
    door: FrontDoor, receiver: Receiver
) -> None:
    shop = await made(door, receiver)
    receiver.secrets.append(shop["secret"])
    path, post = f"/subscriptions/{shop['id']}/dead", Post(door.world.app.database)
    for n in range(3):
        await post.outbox.tell(EventKind.CAMPAIGN_STARTED, None, {"n": n})
    await post.outbox.failed(await post.a_turn(), "it answered 500", timedelta(seconds=1))
    await post.ages(timedelta(days=2))
    await post.outbox.bury(timedelta(days=1), 100)

    first = await door.get(path, params={"limit": 2})
    rest = await door.get(path, params={"limit": 2, "cursor": first["next"]})
    dead = first["items"] + rest["items"]
    assert rest["next"] is None
    assert [each["data"] for each in dead] == [{"n": 0}, {"n": 1}, {"n": 2}]
    assert {(each["kind"], each["error"]) for each in dead} == {("campaign.started", "it answered 500")}
    assert (await door.get(f"/subscriptions/{shop['id']}"))["delivery"]["dead"] == 3

    for body in ({}, {"all": True, "events": [dead[0]["id"]]}, {"events": ["evt_other_1"]}):
        assert (await door.call("POST", f"{path}/replay", json=body)).status_code == 422
    assert await door.post(f"{path}/purge", {"events": [dead[0]["id"]]}) == {"changed": 1}
    assert await door.post(f"{path}/replay", {"all": True}) == {"changed": 2}
    await deliver(door)
    assert [event["id"] for event in receiver.events] == [dead[1]["id"], dead[2]["id"]]
    assert [event["data"] for event in receiver.events] == [{"n": 1}, {"n": 2}]
    assert (await door.get(path))["items"] == []
