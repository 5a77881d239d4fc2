"""What is written down of what becomes true: for whom, in which order, within the transaction that makes it true."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from support.builders import a_phone
from support.conversations import a_conversation
from support.ledger import Ledger, later, settle_all
from support.outbox import Post
from support.waiting import wait_until

from dispatcher.domain.campaign import CampaignState
from dispatcher.domain.errors import Busy, NotFound
from dispatcher.domain.event import EventKind, Stopped, SubscriptionId
from dispatcher.domain.hold import HoldReason
from dispatcher.domain.ids import CampaignId, PersonKey
from dispatcher.domain.message import again_later, given_back, refused, unsure
from dispatcher.domain.receipt import AttemptRef, Receipt, ReceiptState, reported
from dispatcher.ledger import subscriptions
from dispatcher.ledger.database import Database, Transaction
from dispatcher.ledger.partitions import cover
from dispatcher.ledger.subscriptions import LedgerSubscriptions

NOON = datetime(2026, 9, 1, 12, tzinfo=UTC)


@pytest.fixture
def post(database: Database) -> Post:
    return Post(database)


async def triggers(post: Post) -> set[str]:
    """Tables that are listened to, as a whole and in each of their partitions."""
    rows = await post.database.fetch("SELECT relation::text, is_on FROM tellers")
    told: dict[str, set[bool]] = {}
    for row in rows:
        told.setdefault(re.sub(r"_\d+$", "", row["relation"]), set()).add(row["is_on"])
    assert all(len(states) == 1 for states in told.values())
    return {table for table, [is_on] in told.items() if is_on}


# Messages


async def test_what_becomes_of_messages_is_told_and_claims_are_not(ledger: Ledger, post: Post) -> None:
    shop = await post.subscribes("message.*")
    filled = await ledger.a_campaign(people=5)
    turn = await ledger.a_turn(filled.lanes[0])
    messages = await ledger.turns.claim(turn, 5)
    assert await post.kinds(shop) == []

    await settle_all(ledger, turn, messages[:2])
    await ledger.turns.settle(
        turn,
        [
            refused(messages[2].id, "bad_number", code=131026, detail="no such number", posted=True),
            unsure(messages[3].id, "answer_lost"),
            given_back(messages[4].id),
        ],
    )

    told = {event.body["message_id"]: event for event in await post.waiting(shop)}
    assert {number: event.kind for number, event in told.items()} == {
        messages[0].id: "message.accepted",
        messages[1].id: "message.accepted",
        messages[2].id: "message.refused",
        messages[3].id: "message.unsure",
    }
    [sender] = await ledger.senders.all()
    assert told[messages[2].id].body == {
        "campaign_id": filled.campaign.id,
        "message_id": messages[2].id,
        "person": messages[2].person,
        "sender": sender.name,
        "state": "refused",
        "was": "claimed",
        "attempt": 1,
        "wamid": None,
        "reason": "bad_number",
        "code": 131026,
        "detail": "no such number",
        "posted_at": None,
    }


async def test_a_message_that_comes_back_is_told_of_in_the_order_in_which_it_happened(
    ledger: Ledger, post: Post
) -> None:
    shop = await post.subscribes("message.*", "receipt.*")
    filled = await ledger.a_campaign(people=1)
    turn = await ledger.a_turn(filled.lanes[0])
    [message] = await ledger.turns.claim(turn, 1)
    await settle_all(ledger, turn, [message])
    ref = AttemptRef(filled.campaign.id, message.id, 1)
    failed = reported(ReceiptState.FAILED, NOON, code=131049, detail="not now")
    await ledger.receipts.book({ref: (f"wamid.{message.id}", failed)})
    again = again_later(message.id, later(), reason=HoldReason.RETRY_LATER, code=131049, detail="not now")
    await ledger.receipts.reopen([(ref, again)])

    assert await post.kinds(shop) == ["message.accepted", "receipt.failed", "message.pending"]


async def test_campaigns_that_end_early_tell_of_everybody(ledger: Ledger, post: Post) -> None:
    shop = await post.subscribes("message.cancelled", "campaign.*")
    filled = await ledger.a_campaign(people=3)
    await ledger.campaigns.move(filled.campaign.id, CampaignState.PAUSED, "too late")
    await ledger.campaigns.move(filled.campaign.id, CampaignState.RUNNING)
    await ledger.campaigns.move(filled.campaign.id, CampaignState.CANCELLED)
    await ledger.campaigns.drop_pending(filled.campaign.id, "cancelled", "the campaign was cancelled")

    assert await post.kinds(shop) == [
        "campaign.started",
        "campaign.paused",
        "campaign.resumed",
        "campaign.cancelled",
        *["message.cancelled"] * 3,
    ]
    paused = (await post.waiting(shop))[1].body
    assert (paused["state"], paused["was"], paused["paused_because"]) == ("paused", "running", "too late")


# Receipts


async def test_each_moment_of_a_receipt_is_told_once_whatever_comes_again(ledger: Ledger, post: Post) -> None:
    shop = await post.subscribes("receipt.*")
    filled = await ledger.a_campaign(people=1)
    turn = await ledger.a_turn(filled.lanes[0])
    [message] = await ledger.turns.claim(turn, 1)
    await settle_all(ledger, turn, [message])
    ref = AttemptRef(filled.campaign.id, message.id, 1)

    async def books(receipt: Receipt) -> None:
        await ledger.receipts.book({ref: (f"wamid.{message.id}", receipt)})

    at = [NOON + timedelta(seconds=n) for n in range(4)]
    await books(reported(ReceiptState.DELIVERED, at[1]))
    await books(reported(ReceiptState.READ, at[2]) | reported(ReceiptState.SENT, at[0]))
    await books(reported(ReceiptState.READ, at[2]))
    await books(reported(ReceiptState.DELIVERED, at[0]))  # an earlier moment, and no news

    events = await post.waiting(shop)
    assert [event.kind for event in events] == ["receipt.delivered", "receipt.sent", "receipt.read"]
    assert [event.body["state"] for event in events] == ["delivered", "read", "read"]
    assert datetime.fromisoformat(events[2].body["reported_at"]) == at[2]
    assert (events[0].body["person"], events[0].body["reply_id"]) == (a_phone(0), None)


# Senders, people, replies


async def test_a_subscription_to_one_sender_hears_of_no_other(ledger: Ledger, post: Post) -> None:
    mine, other = await ledger.a_sender("mine"), await ledger.a_sender("other")
    shop = await post.subscribes("*", senders=["mine"])
    for sender in (mine, other):
        filled = await ledger.a_campaign(people=1, senders=[sender])
        turn = await ledger.a_turn(filled.lanes[0])
        await settle_all(ledger, turn, await ledger.turns.claim(turn, 1))
    await ledger.senders.change("mine", {"enabled": False})
    await ledger.senders.change("other", {"enabled": False})

    assert [(event.kind, event.body["sender"]) for event in await post.waiting(shop)] == [
        ("message.accepted", "mine"),
        ("sender.changed", "mine"),
    ]


async def test_a_sender_tells_what_it_was_and_never_where_its_token_is(ledger: Ledger, post: Post) -> None:
    shop = await post.subscribes("sender.*")
    await ledger.a_sender("harbour", token_ref="env:A_SECRET_PLACE")
    await ledger.senders.change("harbour", {"token_ref": "env:ANOTHER_PLACE"})
    assert await post.kinds(shop) == ["sender.added"]
    await ledger.senders.change("harbour", {"enabled": False})

    added, changed = await post.waiting(shop)
    assert (changed.body["enabled"], changed.body["was"]) == (False, {"enabled": True})
    assert "PLACE" not in f"{added.body} {changed.body}"


async def test_replies_and_their_receipts_are_told_with_their_person(ledger: Ledger, post: Post) -> None:
    shop = await post.subscribes("reply.*", "receipt.*", "conversation.*")
    sender = await ledger.a_sender()
    conversation = await a_conversation(post.database, sender)
    reply_id = await post.database.fetchval(
        "INSERT INTO replies (conversation_id, sender_id, position, content, unsure_policy)"
        " VALUES ($1, $2, 1, '{}', 'ask') RETURNING id",
        conversation,
        sender.id,
    )
    for state in ("claimed", "pending", "claimed", "accepted"):
        await post.database.execute("UPDATE replies SET state = $2 WHERE id = $1", reply_id, state)
    await post.database.execute(
        "INSERT INTO receipts (campaign_id, message_id, attempt, wamid, sent_at) VALUES (0, $1, 1, 'w', now())",
        reply_id,
    )

    assert await post.kinds(shop) == ["conversation.started", "reply.accepted", "receipt.sent"]
    _, accepted, sent = await post.waiting(shop)
    assert (accepted.body["reply_id"], accepted.body["person"]) == (reply_id, a_phone(1))
    assert (sent.body["reply_id"], sent.body["message_id"], sent.body["campaign_id"]) == (
        reply_id,
        None,
        None,
    )
    assert (sent.body["person"], sent.body["sender"]) == (a_phone(1), sender.name)


async def test_whoever_is_put_on_the_suppression_list_is_told_of(ledger: Ledger, post: Post) -> None:
    shop = await post.subscribes("suppression.*")
    await ledger.suppressions.put([(PersonKey(a_phone(1)), a_phone(1))], "asked", "the shop")
    [event] = await post.waiting(shop)
    assert (event.kind, event.body["person"], event.body["reason"]) == (
        "suppression.added",
        a_phone(1),
        "asked",
    )


# For whom, and when


async def test_what_is_taken_back_was_never_told(ledger: Ledger, post: Post) -> None:
    shop = await post.subscribes("campaign.*")
    filled = await ledger.a_campaign(people=1, state=CampaignState.DRAFT)
    async with post.database.pool.acquire() as connection:
        undone = connection.transaction()
        await undone.start()
        await connection.execute("UPDATE campaigns SET state = 'running' WHERE id = $1", filled.campaign.id)
        assert await connection.fetchval("SELECT count(*) FROM outbox") == 1
        await undone.rollback()
    assert await post.kinds(shop) == []


async def test_each_subscription_has_its_own_events(ledger: Ledger, post: Post) -> None:
    one, two = await post.subscribes("campaign.started"), await post.subscribes("campaign.*")
    filled = await ledger.a_campaign(people=1)
    await ledger.campaigns.move(filled.campaign.id, CampaignState.PAUSED)
    assert await post.kinds(one) == ["campaign.started"]
    assert await post.kinds(two) == ["campaign.started", "campaign.paused"]


async def test_nothing_is_listened_to_that_nobody_wants_to_hear(ledger: Ledger, post: Post) -> None:
    assert await triggers(post) == set()
    one = await post.subscribes("message.accepted")
    assert await triggers(post) == {"messages"}
    two = await post.subscribes("receipt.*", "message.refused")
    assert await triggers(post) == {"messages", "receipts"}
    await post.book.change(two.id, {"is_enabled": False})
    assert await triggers(post) == {"messages"}
    await post.book.change(one.id, {"kinds": ["campaign.started"]})
    assert await triggers(post) == {"campaigns"}
    await post.book.remove(one.id)
    assert await triggers(post) == set()
    await post.subscribes("*")
    assert len(await triggers(post)) == 9


async def test_a_new_partition_is_listened_to_from_its_first_message_on(ledger: Ledger, post: Post) -> None:
    shop = await post.subscribes("message.*", "receipt.*")
    async with post.database.transaction() as connection:
        await cover(connection, CampaignId(2_500))
    await post.database.execute("SELECT setval('campaigns_id_seq', 2400)")
    filled = await ledger.a_campaign(people=1)
    assert filled.campaign.id > 2_400
    turn = await ledger.a_turn(filled.lanes[0])
    [message] = await ledger.turns.claim(turn, 1)
    await settle_all(ledger, turn, [message])
    ref = AttemptRef(filled.campaign.id, message.id, 1)
    await ledger.receipts.book({ref: (f"wamid.{message.id}", reported(ReceiptState.SENT, NOON))})
    assert await post.kinds(shop) == ["message.accepted", "receipt.sent"]
    assert (await post.waiting(shop))[1].body["person"] == a_phone(0)


async def test_a_subscription_that_a_worker_stopped_is_no_longer_paid_for(post: Post) -> None:
    shop = await post.subscribes("message.*")
    assert await post.outbox.stop(shop.id, Stopped.GONE)
    assert not await post.outbox.stop(shop.id, Stopped.GONE)
    assert await triggers(post) == {"messages"}
    await post.outbox.tidy(timedelta(days=1))
    assert await triggers(post) == set()


async def test_whoever_subscribes_gives_way_to_a_long_import(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscriptions, "TRIES", 2)
    async with post.database.transaction() as connection:
        await connection.execute("UPDATE messages SET reason = reason")  # as an import holds the table
        with pytest.raises(Busy):
            await post.subscribes("message.*")
        assert await post.book.all(0, 10) == []
        await post.subscribes("campaign.*")  # what nobody is writing to
    await post.subscribes("message.*")
    assert await triggers(post) == {"campaigns", "messages"}


async def test_whoever_comes_while_another_order_goes_on_is_told_to_come_again(post: Post) -> None:
    async with post.database.transaction() as connection:
        await connection.execute("LOCK TABLE subscriptions IN SHARE ROW EXCLUSIVE MODE")
        async with post.database.transaction() as another:
            await another.execute("SET LOCAL lock_timeout = '50ms'")  # as a call of the API has it
            with pytest.raises(Busy):
                await LedgerSubscriptions(Transaction(another)).remove(SubscriptionId(1))


async def test_unknown_senders_are_no_subscription(post: Post) -> None:
    with pytest.raises(NotFound):
        await post.subscribes("*", senders=["nobody"])
    assert await triggers(post) == set()


async def test_of_one_message_a_later_event_never_overtakes_an_earlier(ledger: Ledger, post: Post) -> None:
    """Two transactions change one message: the second waits for the first, and only then takes its number."""
    shop = await post.subscribes("message.*")
    filled = await ledger.a_campaign(people=2)
    turn = await ledger.a_turn(filled.lanes[0])
    first, other = await ledger.turns.claim(turn, 2)
    sql = "UPDATE messages SET state = $2 WHERE id = $1"

    async def second_change() -> None:
        async with post.database.transaction() as connection:
            await connection.execute(sql, first.id, "accepted")

    async with post.database.transaction() as connection:
        await connection.execute(sql, first.id, "unsure")
        waiting = asyncio.create_task(second_change())
        blocked = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"

        async def is_blocked() -> bool:
            return bool(await post.database.fetchval(blocked))

        await wait_until(is_blocked, description="the second change waits for the first")
        # Of another message, something later is visible already.
        async with post.database.transaction() as another:
            await another.execute(sql, other.id, "accepted")
        assert [event.body["message_id"] for event in await post.waiting(shop)] == [other.id]
    await waiting

    told = [(event.kind, event.body["message_id"]) for event in await post.waiting(shop)]
    assert told == [
        ("message.unsure", first.id),
        ("message.accepted", other.id),
        ("message.accepted", first.id),
    ]


async def test_every_kind_is_told_by_a_trigger_or_by_order(post: Post) -> None:
    """The functions in the ledger know each kind of the vocabulary, by its name or put together."""
    rows = await post.database.fetch("SELECT prosrc FROM pg_proc WHERE proname LIKE 'tell%'")
    source = "\n".join(row["prosrc"] for row in rows)
    put_together = {"message", "reply", "campaign", "suppression"}
    missing: list[Any] = [
        kind
        for kind in EventKind
        if f"'{kind}'" not in source
        and not (kind.family in put_together and f"'{kind.family}.'" in source)
        and kind is not EventKind.SUBSCRIPTION_PING
    ]
    assert missing == []
