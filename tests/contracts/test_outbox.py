"""The promises of the port `Outbox`: one turn at a time, in order, nothing lost with whoever dies, dead letters in the end."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from support.outbox import LEASE, RUN_OUT, Post

from dispatcher.domain.event import EventKind, Stopped, Subscription
from dispatcher.domain.ids import SenderId
from dispatcher.ledger.database import Database

DAY = timedelta(days=1)
KIND = EventKind.CAMPAIGN_STARTED


@pytest.fixture
def post(database: Database) -> Post:
    return Post(database)


async def shop_with(post: Post, events: int) -> Subscription:
    """A subscription for which so many events wait."""
    shop = await post.subscribes("campaign.*")
    for n in range(events):
        await post.outbox.tell(KIND, None, {"n": n})
    return shop


async def numbers(post: Post, shop: Subscription) -> list[int]:
    return [event.body["n"] for event in await post.waiting(shop)]


# Turns


async def test_one_subscription_is_served_by_one_turn(post: Post) -> None:
    await shop_with(post, 3)
    opened = await asyncio.gather(*(post.outbox.open_turns(f"worker {n}", LEASE, 5) for n in range(4)))
    assert [len(turns) for turns in sorted(opened, key=len)] == [0, 0, 0, 1]


async def test_events_come_in_order_and_leave_when_they_were_taken(post: Post) -> None:
    shop = await shop_with(post, 5)
    turn = await post.a_turn()
    first = await post.batch(turn, 2)
    assert first is not None
    assert [event.body["n"] for event in first] == [0, 1]
    assert await post.outbox.delivered(turn, first)
    rest = await post.batch(turn, 10)
    assert rest is not None
    assert [event.body["n"] for event in rest] == [2, 3, 4]
    assert await post.outbox.delivered(turn, rest)
    assert await post.batch(turn) == []
    await post.outbox.close(turn)
    assert await post.outbox.open_turns("a test", LEASE, 5) == []
    _, state = await post.book.find(shop.id)
    assert (state.pending, state.failures) == (0, 0)
    assert state.delivered_at is not None


async def test_a_batch_holds_at_least_one_event_however_large(post: Post) -> None:
    await post.subscribes("campaign.*")
    for _ in range(3):
        await post.outbox.tell(KIND, None, {"text": "".join(chr(33 + n * 7 % 90) for n in range(3000))})
    turn = await post.a_turn()
    assert len(await post.outbox.next_batch(turn, LEASE, 10, 1) or ()) == 1
    assert len(await post.outbox.next_batch(turn, LEASE, 10, 2**20) or ()) == 3


async def test_what_comes_late_with_a_smaller_number_is_not_passed_over(post: Post) -> None:
    shop = await shop_with(post, 0)
    async with post.database.transaction() as connection:
        await connection.execute("SELECT tell('campaign.started', NULL, '{\"n\": 0}')")
        await post.outbox.tell(KIND, None, {"n": 1})
        turn = await post.a_turn()
        batch = await post.batch(turn)
        assert batch is not None
        assert [event.body["n"] for event in batch] == [1]
        assert await post.outbox.delivered(turn, batch)
    late = await post.batch(turn)
    assert late is not None
    assert [event.body["n"] for event in late] == [0]
    assert await numbers(post, shop) == [0]


async def test_what_a_dead_turn_had_is_delivered_again_under_the_same_numbers(post: Post) -> None:
    await shop_with(post, 2)
    dead = await post.a_turn(RUN_OUT)
    taken = await post.waiting(await only(post))
    turn = await post.a_turn()
    assert await post.batch(turn) == taken
    assert await post.batch(dead) is None
    assert not await post.outbox.delivered(dead, taken)
    assert not await post.outbox.failed(dead, "late", LEASE)
    assert await post.waiting(await only(post)) == taken


async def only(post: Post) -> Subscription:
    [(subscription, _)] = await post.book.all(0, 10)
    return subscription


async def test_a_failure_says_why_and_waits_and_a_success_forgets_it(post: Post) -> None:
    shop = await shop_with(post, 1)
    for n in range(1, 3):
        turn = await post.a_turn()
        assert turn.failures == n - 1
        assert await post.outbox.failed(turn, "it answered 500", timedelta(minutes=1))
        assert await post.outbox.open_turns("a test", LEASE, 5) == []
        _, state = await post.book.find(shop.id)
        assert (state.failures, state.last_error) == (n, "it answered 500")
        assert state.failing_since is not None
        assert state.next_at is not None
        await post.ages(timedelta(minutes=2))
    turn = await post.a_turn()
    events = await post.batch(turn)
    assert events is not None
    assert await post.outbox.delivered(turn, events)
    _, state = await post.book.find(shop.id)
    assert (state.failures, state.last_error, state.failing_since, state.next_at) == (0, None, None, None)


async def test_those_that_have_waited_longest_are_served_first(post: Post) -> None:
    """So that a full worker with many subscriptions gives each its turn."""
    subscriptions = [await post.subscribes("campaign.*") for _ in range(3)]
    await post.outbox.tell(KIND, None, {"n": 0})
    served = []
    for _ in range(6):
        [turn] = await post.outbox.open_turns("a test", LEASE, 1)
        served.append(turn.subscription_id)
        await post.outbox.close(turn)
    assert served == [each.id for each in subscriptions] * 2


async def test_a_copy_of_the_ledger_delivers_nothing(post: Post) -> None:
    await shop_with(post, 1)
    await post.database.execute('UPDATE instance SET place = \'{"database": "elsewhere"}\'')
    assert await post.outbox.open_turns("a test", LEASE, 5) == []


async def test_what_is_disabled_is_not_served_and_hears_nothing_new(post: Post) -> None:
    shop = await shop_with(post, 2)
    turn = await post.a_turn()
    await post.book.change(shop.id, {"is_enabled": False})
    assert await post.batch(turn) is None
    await post.outbox.tell(KIND, None, {"n": 2})
    assert await post.outbox.open_turns("a test", LEASE, 5) == []
    await post.book.change(shop.id, {"is_enabled": True})
    await post.outbox.tell(KIND, None, {"n": 3})
    batch = await post.batch(await post.a_turn())
    assert batch is not None
    assert [event.body["n"] for event in batch] == [0, 1, 3]


async def test_what_concerns_a_sender_is_told_to_those_who_want_it(post: Post) -> None:
    everybody, nobody = await post.subscribes("*"), await post.subscribes("message.*")
    await post.outbox.tell(EventKind.INBOUND_MESSAGE, SenderId(7), {})
    assert await post.kinds(everybody) == ["inbound.message"]
    assert await post.kinds(nobody) == []


# Dead letters


async def buried(post: Post) -> Subscription:
    """A subscription with three dead letters, and an event that is younger."""
    shop = await shop_with(post, 3)
    await post.outbox.failed(await post.a_turn(), "it answered 500", timedelta(seconds=1))
    await post.ages(DAY + timedelta(hours=1))
    await post.outbox.tell(KIND, None, {"n": 3})
    assert await post.outbox.bury(DAY, 1_000) == 3
    return shop


async def test_what_nobody_takes_for_a_day_is_a_dead_letter_with_its_cause(post: Post) -> None:
    shop = await buried(post)
    assert await numbers(post, shop) == [3]
    dead = await post.dead.page(shop.id, 0, 10)
    assert [each.event.body["n"] for each in dead] == [0, 1, 2]
    assert {each.error for each in dead} == {"it answered 500"}
    assert [each.event.body["n"] for each in await post.dead.page(shop.id, dead[0].event.id, 1)] == [1]
    _, state = await post.book.find(shop.id)
    assert (state.pending, state.dead) == (1, 3)


async def test_a_backlog_is_no_dead_letter_while_its_receiver_takes_events(post: Post) -> None:
    shop = await shop_with(post, 3)
    await post.ages(DAY * 2)
    assert await post.outbox.bury(DAY, 1_000) == 0
    await post.outbox.failed(await post.a_turn(), "just now", timedelta(seconds=1))
    assert await post.outbox.bury(DAY, 1_000) == 0
    assert await numbers(post, shop) == [0, 1, 2]


async def test_nothing_that_a_turn_has_in_hand_is_buried(post: Post) -> None:
    shop = await shop_with(post, 1)
    await post.outbox.failed(await post.a_turn(), "no", timedelta(seconds=1))
    await post.ages(DAY * 2)
    turn = await post.a_turn()
    assert await post.outbox.bury(DAY, 1_000) == 0
    await post.outbox.close(turn)
    assert await post.outbox.bury(DAY, 1_000) == 1
    assert await numbers(post, shop) == []


async def test_what_waits_for_a_stopped_subscription_becomes_dead_letters_too(post: Post) -> None:
    shop = await shop_with(post, 2)
    await post.outbox.stop(shop.id, Stopped.GONE)
    assert await post.outbox.bury(DAY, 1_000) == 0
    await post.ages(DAY * 2)
    assert await post.outbox.bury(DAY, 1_000) == 2


async def test_dead_letters_come_back_under_their_ids_and_before_what_is_newer(post: Post) -> None:
    shop = await buried(post)
    ids = [each.event.id for each in await post.dead.page(shop.id, 0, 10)]
    assert await post.dead.replay(shop.id, [ids[1]], None) == 1
    assert await post.dead.replay(shop.id, [ids[1]], None) == 0
    assert await numbers(post, shop) == [1, 3]
    assert await post.dead.replay(shop.id, None, None) == 2
    events = await post.waiting(shop)
    assert [event.body["n"] for event in events] == [0, 1, 2, 3]
    assert [event.id for event in events[:3]] == ids
    assert await post.outbox.bury(DAY, 1_000) == 0  # they have a day again


async def test_dead_letters_are_replayed_and_purged_by_time(post: Post) -> None:
    shop = await buried(post)
    dead = await post.dead.page(shop.id, 0, 10)
    assert await post.dead.purge(shop.id, None, dead[1].event.at) == 1
    assert await post.dead.replay(shop.id, None, dead[2].event.at) == 1
    assert await numbers(post, shop) == [2, 3]
    assert await post.dead.purge(shop.id, None, None) == 1
    assert await post.dead.page(shop.id, 0, 10) == []


async def test_old_dead_letters_and_those_of_nobody_are_cleared_away(post: Post) -> None:
    shop, other = await buried(post), await post.subscribes("campaign.*")
    await post.ages(timedelta(days=10))
    await post.outbox.tidy(timedelta(days=11))
    assert len(await post.dead.page(shop.id, 0, 10)) == 3
    await post.outbox.tidy(timedelta(days=9))
    assert await post.dead.page(shop.id, 0, 10) == []
    await post.outbox.tell(KIND, None, {"n": 4})
    await post.book.remove(shop.id)
    assert await numbers(post, shop) == [3, 4]
    await post.outbox.tidy(timedelta(days=9))
    assert await numbers(post, shop) == []
    assert await numbers(post, other) == [4]


# Too many


async def test_a_subscription_for_which_too_much_waits_is_found(post: Post) -> None:
    shop, other = await shop_with(post, 6), await post.subscribes("message.*")
    assert await post.outbox.overfull(6) == []
    assert await post.outbox.overfull(5) == [shop.id]
    pending, oldest_at = await post.outbox.backlog()
    assert pending == 6
    assert oldest_at == (await post.waiting(shop))[0].at
    assert (await post.book.find(other.id))[1].pending == 0
