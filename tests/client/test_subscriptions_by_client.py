"""Subscriptions by the client, from the order to the dead letter; of both clients."""

from __future__ import annotations

from datetime import timedelta

import pytest
from support.outbox import Post

from dispatcher.client import Refused, subscriptions
from dispatcher.domain.event import EventKind

from .conftest import Made

pytestmark = pytest.mark.settings(events_networks=["127.0.0.0/8"])
URL = "http://127.0.0.1:9/events"


async def test_a_subscription_from_its_order_to_its_end(made: Made) -> None:
    shop = await made.do(subscriptions.subscribe(URL, ["campaign.*"], senders=["harbour"], once="shop"))
    assert shop["secret"].startswith("whsec_")
    again = await made.do(subscriptions.subscribe(URL, ["campaign.*"], senders=["harbour"], once="shop"))
    assert (again["id"], again["secret"]) == (shop["id"], None)
    number = shop["id"]
    changed = await made.do(subscriptions.change(number, kinds=["*"], senders=None))
    assert (changed["kinds"], changed["senders"]) == (["*"], None)
    assert (await made.do(subscriptions.show(number)))["delivery"]["failures"] == 0
    assert (await made.do(subscriptions.rotate_secret(number)))["secret"] != shop["secret"]
    assert (await made.do(subscriptions.ping(number)))["event"].startswith("evt_")
    assert [each["id"] for each in await made.each(subscriptions.every())] == [number]
    assert (await made.do(subscriptions.remove(number)))["id"] == number
    with pytest.raises(Refused, match="there is no subscription"):
        await made.do(subscriptions.show(number))


async def test_dead_letters_are_read_replayed_and_purged(made: Made) -> None:
    number = (await made.do(subscriptions.subscribe(URL, ["campaign.*"])))["id"]
    post = Post(made.world.app.database)
    for n in range(3):
        await post.outbox.tell(EventKind.CAMPAIGN_STARTED, None, {"n": n})
    await post.outbox.failed(await post.a_turn(), "it answered 500", timedelta(seconds=1))
    await post.ages(timedelta(days=2))
    await post.outbox.bury(timedelta(days=1), 100)

    dead = await made.each(subscriptions.dead(number))
    assert [each["data"] for each in dead] == [{"n": 0}, {"n": 1}, {"n": 2}]
    assert await made.do(subscriptions.replay(number, [dead[0]["id"]])) == {"changed": 1}
    assert await made.do(subscriptions.replay(number, since=dead[2]["at"])) == {"changed": 1}
    assert await made.do(subscriptions.purge(number)) == {"changed": 1}
    assert await made.each(subscriptions.dead(number)) == []
