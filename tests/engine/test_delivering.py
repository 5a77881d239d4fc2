"""What the engine makes of a receiver's moods: real ledger, real sockets, turns run in the test's own process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest
from support.outbox import Post
from support.waiting import wait_until
from support.world import World

from benchmarks.receiver import Receiver, Weather, is_signed, receiving
from dispatcher.app import open_app
from dispatcher.domain.errors import BadValue
from dispatcher.domain.event import EventKind, Stopped, Subscription
from dispatcher.vault import new_key

pytestmark = pytest.mark.settings(events_networks=["127.0.0.0/8"], events_batch_most=4, events_timeout_s=1)
KIND = EventKind.CAMPAIGN_STARTED


class Shop:
    """A subscription with its receiver."""

    def __init__(self, world: World, receiver: Receiver, subscription: Subscription) -> None:
        self.world = world
        self.receiver = receiver
        self.id = subscription.id
        self.post = Post(world.app.database)

    async def hears(self, *numbers: int) -> None:
        """These events are to be told."""
        for n in numbers:
            await self.post.outbox.tell(KIND, None, {"n": n})

    async def turn(self) -> None:
        """One turn of delivery, if it is due."""
        for turn in await self.world.app.deliveries.due(10):
            await self.world.app.deliveries.serve(turn)

    async def comes_due(self) -> None:
        """As if its wait were over."""
        await self.world.app.database.execute("UPDATE deliveries SET next_at = '-infinity'")

    @property
    def heard(self) -> list[int]:
        """What has come, repetitions too."""
        return [event["data"]["n"] for event in self.receiver.events]


@pytest.fixture
async def shop(world: World, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shop]:
    """Somebody who wants to hear of campaigns."""
    monkeypatch.setenv("SEAL_KEY", new_key())
    async with receiving() as receiver:
        subscription, secret = await world.app.subscriptions.create(receiver.url, ["campaign.*"])
        receiver.secrets.append(secret)
        yield Shop(world, receiver, subscription)


async def test_events_come_in_batches_signed_and_in_order(shop: Shop) -> None:
    await shop.hears(*range(10))
    await shop.turn()
    assert [len(got.events) for got in shop.receiver.got] == [4, 4, 2]
    assert shop.heard == list(range(10))
    assert {got.status for got in shop.receiver.got} == {200}  # the receiver has checked the signatures
    instance = await shop.world.app.database.instance()
    first = shop.receiver.got[0].events[0]
    assert first["id"].startswith(f"evt_{instance}_")
    assert (first["kind"], first["data"]) == ("campaign.started", {"n": 0})
    assert len({got.headers["webhook-id"] for got in shop.receiver.got}) == 3


async def test_what_passes_within_seconds_is_tried_again_in_the_same_turn_under_the_same_ids(
    shop: Shop,
) -> None:
    await shop.hears(1, 2)
    shop.receiver.weather = Weather((500,))
    trying = asyncio.create_task(shop.turn())
    await wait_until(lambda: len(shop.receiver.got) >= 1, description="a first attempt")
    shop.receiver.weather = Weather()
    await trying
    assert shop.receiver.got[-1].status == 200
    assert shop.heard[-2:] == [1, 2]
    assert [event["data"]["n"] for event in shop.receiver.first_times] == [1, 2]
    assert len({got.headers["webhook-id"] for got in shop.receiver.got}) == 1
    assert (await shop.post.book.find(shop.id))[1].failures == 0


async def test_what_does_not_pass_waits_in_the_ledger_and_says_why(shop: Shop) -> None:
    await shop.hears(1)
    shop.receiver.weather = Weather((404,))
    await shop.turn()
    await shop.turn()
    assert len(shop.receiver.got) == 1, "a turn that is not due does nothing"
    _, state = await shop.post.book.find(shop.id)
    assert (state.failures, state.last_error, state.pending) == (1, "it answered 404", 1)
    assert state.next_at is not None
    await shop.comes_due()
    shop.receiver.weather = Weather()
    await shop.turn()
    assert shop.heard == [1, 1]
    assert len(shop.receiver.first_times) == 1


async def test_an_event_that_a_receiver_cannot_take_is_soon_alone_in_the_way(shop: Shop) -> None:
    """Batches shrink with each failure: what is before the bad event arrives, and only it is tried again and again."""
    await shop.hears(*range(8))
    await shop.world.app.database.execute(
        "UPDATE outbox SET body = jsonb_build_object('n', 2, 'is_bad', true) WHERE (body ->> 'n')::int = 2"
    )
    shop.receiver.refuses = lambda event: "is_bad" in event["data"]
    for _ in range(5):
        await shop.turn()
        await shop.comes_due()
    taken = [event["data"]["n"] for got in shop.receiver.got if got.status == 200 for event in got.events]
    assert taken == [0, 1]
    assert shop.receiver.got[-1].events[0]["data"]["n"] == 2
    assert len(shop.receiver.got[-1].events) == 1
    shop.receiver.refuses = None
    await shop.turn()
    taken = [event["data"]["n"] for got in shop.receiver.got if got.status == 200 for event in got.events]
    assert taken == list(range(8))


async def test_a_receiver_that_says_when_to_come_again_is_asked_then(shop: Shop) -> None:
    await shop.hears(1)
    shop.receiver.weather = Weather((503,), headers="retry-after: 1800\r\n")
    await shop.turn()
    assert len(shop.receiver.got) == 1
    left = await shop.world.app.database.fetchval("SELECT next_at - ledger_now() FROM deliveries")
    assert timedelta(minutes=29) < left <= timedelta(minutes=30)


async def test_a_receiver_that_is_gone_is_left_alone(shop: Shop) -> None:
    await shop.hears(1)
    shop.receiver.weather = Weather((410,))
    await shop.turn()
    subscription, state = await shop.post.book.find(shop.id)
    assert (subscription.is_enabled, subscription.stopped) == (False, Stopped.GONE)
    assert (state.pending, state.last_error) == (1, "it answered 410")
    await shop.hears(2)
    await shop.comes_due()
    await shop.turn()
    assert len(shop.receiver.got) == 1
    shop.receiver.weather = Weather()
    await shop.world.app.subscriptions.change(shop.id, {"is_enabled": True})
    await shop.turn()
    assert shop.heard == [1, 1]


async def test_both_secrets_sign_while_one_replaces_the_other(shop: Shop) -> None:
    old = shop.receiver.secrets[0]
    new = await shop.world.app.subscriptions.rotate_secret(shop.id)
    assert new != old
    await shop.hears(1)
    await shop.turn()
    [got] = shop.receiver.got
    assert is_signed(got.headers, got.body, old)
    assert is_signed(got.headers, got.body, new)
    await shop.world.app.database.execute(
        "UPDATE subscriptions SET former_secret_until = now() - interval '1 second'"
    )
    shop.receiver.secrets = [new]
    await shop.hears(2)
    await shop.turn()
    got = shop.receiver.got[-1]
    assert got.status == 200
    assert not is_signed(got.headers, got.body, old)


async def test_a_secret_that_cannot_be_opened_delivers_nothing_and_says_so(
    shop: Shop,
) -> None:
    await shop.hears(1)
    await shop.world.app.database.execute("UPDATE subscriptions SET secret_ref = 'sealed:nonsense'")
    await shop.turn()
    assert shop.receiver.got == []
    _, state = await shop.post.book.find(shop.id)
    assert "cannot be opened" in (state.last_error or "")


async def test_a_subscription_for_which_too_much_waits_is_disabled_and_keeps_what_waits(shop: Shop) -> None:
    await shop.hears(*range(101))
    deliveries = shop.world.app.deliveries
    await replace(deliveries, settings=replace(deliveries.settings, pending_most=100)).upkeep()
    subscription, state = await shop.post.book.find(shop.id)
    assert (subscription.stopped, state.pending) == (Stopped.TOO_MANY, 101)
    await shop.hears(101)
    assert (await shop.post.book.find(shop.id))[1].pending == 101


async def test_a_slow_receiver_slows_nobody_else(shop: Shop) -> None:
    async with receiving() as other:
        second, secret = await shop.world.app.subscriptions.create(other.url, ["campaign.*"])
        other.secrets.append(secret)
        shop.receiver.weather = Weather(delay_s=30)
        await shop.hears(*range(4))
        turns = await shop.world.app.deliveries.due(10)
        assert {turn.subscription_id for turn in turns} == {shop.id, second.id}
        serving = [asyncio.create_task(shop.world.app.deliveries.serve(turn)) for turn in turns]
        await wait_until(lambda: len(other.events) == 4, description="the other has heard all")
        assert shop.heard == [], "the slow one has not answered yet"
        await asyncio.gather(*serving)


async def test_what_was_allowed_and_is_not_any_more_gets_nothing(shop: Shop) -> None:
    """The network is looked at again with every connection: here by a process that was started with other settings."""
    await shop.hears(1)
    settings = shop.world.app.settings.model_copy(update={"events_networks": frozenset()})
    async with open_app(settings, migrate=False) as elsewhere:
        for turn in await elsewhere.deliveries.due(10):
            await elsewhere.deliveries.serve(turn)
        await elsewhere.redis.connection_pool.disconnect()
    assert shop.receiver.got == []
    _, state = await shop.post.book.find(shop.id)
    assert "events_networks does not allow it" in (state.last_error or "")
    with pytest.raises(BadValue, match="events_networks does not allow it"):
        await shop.world.app.subscriptions.create("http://192.168.0.1/", ["*"])


async def test_a_ping_arrives_whatever_was_chosen(shop: Shop) -> None:
    await shop.world.app.subscriptions.ping(shop.id)
    await shop.turn()
    [event] = shop.receiver.events
    assert (event["kind"], event["data"]) == ("subscription.ping", {})
