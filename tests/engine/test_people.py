"""What webhooks tell of people: every kind ends in a conversation, wishes bind at once, and ids of one person are joined."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from support.builders import a_phone
from support.ledger import Ledger, taken
from support.people import DANA, DANAS_ID, Postbox, a_call, a_preference, an_id_change, said
from support.waiting import wait_until
from support.webhooks import SAMPLES
from support.world import World

from dispatcher.channel.webhooks import read_webhook
from dispatcher.domain.conversation import ConversationView
from dispatcher.domain.grant import Ask
from dispatcher.domain.ids import MessageId, PersonKey
from dispatcher.domain.message import given_back
from dispatcher.domain.opting import SuppressionChange
from dispatcher.domain.pacing import limits_of
from dispatcher.domain.webhook import Inbound, Report, Unreadable
from dispatcher.domain.window import SERVICE_WINDOW

HOUR = timedelta(hours=1)
NEW = "12025550155"


@pytest.fixture
async def postbox(world: World) -> Postbox:
    """A sender to whom people write."""
    sender = await Ledger(world.app.database).a_sender("harbour", phone_number_id="200000000000001")
    return Postbox(world.app, sender)


def in_some_orders(*bodies: bytes, orders: int = 5) -> Iterator[list[bytes]]:
    """As they were said, and shuffled; each body twice."""
    yield [*bodies, *bodies]
    for seed in range(1, orders):
        shuffled = [*bodies, *bodies]
        random.Random(seed).shuffle(shuffled)
        yield shuffled


async def the_one(postbox: Postbox) -> ConversationView:
    [conversation] = await postbox.conversations()
    return conversation


# every kind


async def test_every_sample_ends_in_a_conversation_or_in_quarantine_with_a_reason(postbox: Postbox) -> None:
    for sample, body in SAMPLES.items():
        told = read_webhook(body)
        await postbox.says(body)
        messages = {news.wamid for news in told if isinstance(news, Inbound)}
        rows = await postbox.app.database.fetch(
            "SELECT wamid FROM inbound JOIN conversations ON conversations.id = conversation_id"
        )
        assert {row["wamid"] for row in rows} == messages, sample
        aside = [piece.piece for piece in await postbox.app.inbox.quarantined(100)]
        assert all(piece.reason and piece.detail for piece in aside), sample
        reports = sum(isinstance(news, Report) for news in told)
        unreadable = sum(isinstance(news, Unreadable) for news in told)
        assert len(aside) == reports + unreadable, (
            sample
        )  # nobody knows the messages that the samples report on
        assert "not_applied" not in {piece.reason for piece in aside}, sample
        await postbox.forgets()


async def test_a_sample_opens_the_window_unless_it_says_nothing_new(postbox: Postbox) -> None:
    silent = ("edit", "revoke", "system_", "reaction_removed", "text_in_a_group")
    for sample, body in SAMPLES.items():
        if not any(isinstance(news, Inbound) for news in read_webhook(body)):
            continue
        await postbox.says(body)
        windows = [one.window.ends_at for one in await postbox.conversations()]
        is_silent = sample.removeprefix("message_").startswith(silent)
        assert all((ends_at is None) is is_silent for ends_at in windows), sample
        await postbox.forgets()


async def test_a_call_opens_the_window_and_is_no_message(postbox: Postbox) -> None:
    await postbox.says(a_call(postbox.at(-HOUR)))
    conversation = await the_one(postbox)
    assert conversation.window.ends_at == postbox.at(-HOUR) + SERVICE_WINDOW
    assert conversation.last_inbound_at is None


async def test_a_message_to_a_number_that_nobody_knows_is_put_aside(postbox: Postbox) -> None:
    await postbox.says(said("hello", at=postbox.now, number="404"))
    assert await postbox.conversations() == []
    assert [piece.piece.reason for piece in await postbox.app.inbox.quarantined(5)] == ["unknown_sender"]


# conversations


async def test_a_conversation_is_of_one_person_with_one_sender(postbox: Postbox) -> None:
    other = await Ledger(postbox.app.database).a_sender("quay", phone_number_id="200000000000002")
    await postbox.says(
        said("one", at=postbox.at(-2 * HOUR)),
        said("two", at=postbox.at(-HOUR), name="Dana the second"),
        said("three", at=postbox.now, number=other.phone_number_id),
        said("four", at=postbox.now, person="12025550150"),
    )
    assert len(await postbox.conversations()) == 3
    [harbour] = await postbox.app.conversations.list(9, sender="harbour", person=f"+{DANA}")
    assert (harbour.name, harbour.last_inbound_at) == ("Dana the second", postbox.at(-HOUR))
    transcript = await postbox.app.conversations.transcript(harbour.id, 9)
    assert [one.text for one in transcript.spoken] == ["two", "one"]


async def test_shuffled_and_doubled_messages_end_in_the_same_conversation(postbox: Postbox) -> None:
    for bodies in in_some_orders(
        said("first", at=postbox.at(-30 * HOUR), name="Dana B."),
        said("ad", at=postbox.at(-26 * HOUR), referral={"source_type": "ad"}),
        said("edited", at=postbox.at(-HOUR), kind="edit", name=None),
        said("last", at=postbox.at(-3 * HOUR), user_id=DANAS_ID, name="Dana"),
        said("to all", at=postbox.at(-HOUR / 2), group_id="G1", name=None),
        a_call(postbox.at(-4 * HOUR)),
    ):
        await postbox.forgets()
        for body in bodies:
            await postbox.says(body)
        await has_the_whole_conversation(postbox)


async def has_the_whole_conversation(postbox: Postbox) -> None:
    one = await the_one(postbox)
    assert one.window.ends_at == postbox.at(-3 * HOUR) + SERVICE_WINDOW
    assert (one.name, one.user_id, one.person) == ("Dana", DANAS_ID, f"+{DANA}")
    assert (one.last_inbound_at, one.free_entry_at) == (postbox.at(-3 * HOUR), postbox.at(-26 * HOUR))
    assert one.started_at == postbox.at(-30 * HOUR)
    spoken = (await postbox.app.conversations.transcript(one.id, 99)).spoken
    assert [each.text for each in spoken] == ["to all", "[edit] edited", "last", "ad", "first"]


async def test_a_time_from_the_future_opens_no_longer_window(postbox: Postbox) -> None:
    await postbox.says(said("from tomorrow", at=postbox.at(48 * HOUR)))
    ends_at = (await the_one(postbox)).window.ends_at
    assert ends_at is not None
    assert ends_at <= datetime.now(UTC) + SERVICE_WINDOW


# wishes


async def test_a_stop_word_takes_the_person_out_of_every_campaign_at_once(postbox: Postbox) -> None:
    ledger = Ledger(postbox.app.database)
    running, draft = [await ledger.a_campaign(people=3) for _ in range(2)]
    await postbox.says(said("STOP!", person=a_phone(1)[1:], at=postbox.now))
    for filled in (running, draft):
        counts = await ledger.counts(filled)
        assert (counts.pending, counts.suppressed) == (2, 1)
        message = await ledger.campaigns.message_to(filled.campaign.id, PersonKey(a_phone(1)))
        assert (message.state, message.reason) == ("suppressed", "suppressed: opted_out")


async def test_whom_a_turn_has_claimed_the_limits_refuse_and_the_next_claim_leaves_out(
    postbox: Postbox,
) -> None:
    ledger, tools = Ledger(postbox.app.database), postbox.app.lane_tools
    filled = await ledger.a_campaign(people=3, senders=[postbox.sender])
    turn = await ledger.a_turn(filled.lanes[0])
    claimed = await ledger.turns.claim(turn, 2)
    limits = limits_of(postbox.sender, tools.policy)
    await tools.limits.rebuild(limits.pool, [limits], tools.turns.reached_of_pool(limits.pool, postbox.now))
    its_pass = await tools.limits.open_turn(
        limits.pool, limits.sender_id, turn.lane_id, turn.turn_id, 1, priority=0
    )
    await postbox.says(said("stop", person=a_phone(1)[1:], at=postbox.now))
    asks = [Ask(message.id, message.key) for message in claimed]
    granted: list[MessageId] = []

    async def somebody_goes() -> bool:
        granted.extend(each.message_id for each in (await tools.limits.grant(its_pass, asks)).go)
        return bool(granted)

    await wait_until(somebody_goes, description="a new sender's bucket fills")
    assert granted == [claimed[0].id]
    await ledger.turns.settle(turn, [taken(claimed[0]), given_back(claimed[1].id)])
    assert [message.person for message in await ledger.turns.claim(turn, 9)] == [a_phone(2)]
    counts = await ledger.counts(filled)
    assert (counts.accepted, counts.claimed, counts.suppressed) == (1, 1, 1)


async def test_a_campaign_whose_last_people_opt_out_has_a_turn_that_completes_it(postbox: Postbox) -> None:
    """Its lane waited until tomorrow."""
    ledger = Ledger(postbox.app.database)
    filled = await ledger.a_campaign(people=1)
    await ledger.database.execute("UPDATE lanes SET next_at = ledger_now() + interval '1 day'")
    assert await ledger.turns.due_lanes() == []
    await postbox.says(said("stop", person=a_phone(0)[1:], at=postbox.now))
    assert [lane.lane_id for lane in await ledger.turns.due_lanes()] == list(filled.lanes)


async def test_the_latest_wish_counts_in_whatever_order_it_comes(postbox: Postbox) -> None:
    for last, words in (("stop", "stop start stop"), ("start", "start stop stop start")):
        hours_ago = range(len(words.split()), 0, -1)
        told = [
            said(word, at=postbox.at(-n * HOUR)) for n, word in zip(hours_ago, words.split(), strict=True)
        ]
        for bodies in in_some_orders(*told):
            await postbox.forgets()
            for body in bodies:
                await postbox.says(body)
            assert await postbox.suppressed() == ([f"+{DANA}"] if last == "stop" else [])
            history = await postbox.app.senders.suppression_history(PersonKey(f"+{DANA}"))
            assert [entry.change for entry in history] == [
                SuppressionChange.OPTED_OUT if word == "stop" else SuppressionChange.OPTED_IN
                for word in words.split()
            ]


async def test_a_preference_told_to_meta_counts_like_a_word(postbox: Postbox) -> None:
    await postbox.says(a_preference("stop", at=postbox.at(-2 * HOUR)))
    assert await postbox.suppressed() == [f"+{DANA}"]
    await postbox.says(a_preference("resume", at=postbox.at(-HOUR)))
    assert await postbox.suppressed() == []
    await postbox.says(a_preference("stop", at=postbox.at(-2 * HOUR)))
    assert await postbox.suppressed() == [], "told twice, it is still older than the resume"


async def test_an_operators_order_outlasts_a_resume(postbox: Postbox) -> None:
    await postbox.says(said("stop", at=postbox.at(-2 * HOUR)))
    await postbox.app.senders.suppress([(PersonKey(f"+{DANA}"), f"+{DANA}")], "a dispute", "a test")
    await postbox.says(said("start", at=postbox.at(-HOUR)))
    [entry] = await postbox.app.senders.suppressed()
    assert entry.reason == "a dispute"
    assert await postbox.app.senders.unsuppress([f"+{DANA}"]) == 1
    assert await postbox.suppressed() == []


async def test_a_button_counts_by_its_payload_and_what_is_said_to_a_group_does_not(postbox: Postbox) -> None:
    await postbox.says(said("stop", at=postbox.now, group_id="G1"))
    assert await postbox.suppressed() == []
    button = {"type": "button", "button": {"payload": "STOP:autumn", "text": "No, thanks"}}
    await postbox.says(said("", at=postbox.now, message=button))
    assert await postbox.suppressed() == [f"+{DANA}"]


# people with several ids


async def test_a_person_without_a_number_is_linked_once_both_are_seen(postbox: Postbox) -> None:
    await postbox.says(said("hello", at=postbox.at(-2 * HOUR), person=None, user_id=DANAS_ID))
    before = await the_one(postbox)
    assert (before.person, before.user_id) == (None, DANAS_ID)
    await postbox.says(said("it is me", at=postbox.at(-HOUR), user_id=DANAS_ID))
    after = await the_one(postbox)
    assert (after.id, after.person, after.user_id) == (before.id, f"+{DANA}", DANAS_ID)
    transcript = await postbox.app.conversations.transcript(after.id, 9)
    assert [one.text for one in transcript.spoken] == ["it is me", "hello"]
    assert [one.id for one in transcript.ids] == [DANAS_ID]


async def test_an_opt_out_by_user_id_counts_for_the_number_and_the_other_way_round(postbox: Postbox) -> None:
    await postbox.says(said("stop", at=postbox.at(-3 * HOUR), person=None, user_id=DANAS_ID))
    assert await postbox.suppressed() == [DANAS_ID]
    filled = await Ledger(postbox.app.database).a_campaign(people=1)
    await postbox.app.database.execute(
        "UPDATE messages SET person = $1, person_key = $1 WHERE campaign_id = $2",
        f"+{DANA}",
        filled.campaign.id,
    )
    await postbox.says(said("a number, too", at=postbox.at(-2 * HOUR), user_id=DANAS_ID))
    assert await postbox.suppressed() == [f"+{DANA}"]
    assert (await Ledger(postbox.app.database).counts(filled)).suppressed == 1
    await postbox.says(said("start", at=postbox.at(-HOUR), person=None, user_id=DANAS_ID))
    assert await postbox.suppressed() == []
    history = await postbox.app.senders.suppression_history(DANAS_ID)
    assert [entry.change for entry in history] == ["opted_out", "opted_in"]


async def test_a_number_given_on_request_links_and_somebody_elses_contact_does_not(postbox: Postbox) -> None:
    def contacts(origin: str) -> dict[str, Any]:
        phones = [{"phone": f"+{DANA}", "wa_id": DANA}]
        return {"type": "contacts", "contacts": [{"name": {}, "phones": phones, "origin": origin}]}

    for origin, person in (("other", None), ("contact_request", f"+{DANA}")):
        body = said("", at=postbox.now, person=None, user_id=DANAS_ID, message=contacts(origin))
        await postbox.says(body)
        assert (await the_one(postbox)).person == person


def _life(postbox: Postbox) -> Sequence[bytes]:
    """A person shows their number, writes, moves to another number, gets another id, and opts out with it alone."""
    moved = {"type": "system", "system": {"type": "user_changed_number", "wa_id": NEW, "body": "…"}}
    return [
        said("hidden", at=postbox.at(-9 * HOUR), person=None, user_id=DANAS_ID),
        said("shown", at=postbox.at(-8 * HOUR), user_id=DANAS_ID),
        said("", at=postbox.at(-7 * HOUR), message=moved, name=None),
        said("new number", at=postbox.at(-6 * HOUR), person=NEW),
        an_id_change(NEW, DANAS_ID, "US.2", at=postbox.at(-5 * HOUR)),
        said("stop", at=postbox.at(-4 * HOUR), person=None, user_id="US.2"),
    ]


async def test_in_any_order_one_life_is_one_conversation(postbox: Postbox) -> None:
    for bodies in in_some_orders(*_life(postbox)):
        await postbox.forgets()
        for body in bodies:
            await postbox.says(body)
        one = await the_one(postbox)
        assert (one.person, one.user_id) == (f"+{NEW}", "US.2")
        assert one.window.ends_at == postbox.at(-4 * HOUR) + SERVICE_WINDOW
        spoken = (await postbox.app.conversations.transcript(one.id, 99)).spoken
        assert [each.text for each in spoken] == ["stop", "new number", "[system] …", "shown", "hidden"]
        assert f"+{NEW}" in await postbox.suppressed()
        assert await postbox.app.campaigns.check() == []


async def test_the_same_life_in_one_batch_ends_alike(postbox: Postbox) -> None:
    bodies = [*_life(postbox)]
    random.Random(7).shuffle(bodies)
    await postbox.says(*bodies)
    one = await the_one(postbox)
    assert (one.person, one.user_id) == (f"+{NEW}", "US.2")


async def test_whoever_has_the_number_next_is_somebody_else(postbox: Postbox) -> None:
    for body in _life(postbox)[:4]:
        await postbox.says(body)
    await postbox.says(said("who are you?", at=postbox.at(-HOUR), user_id="US.77", name="Eli"))
    people = {(one.person, one.name) for one in await postbox.conversations()}
    assert people == {(f"+{NEW}", "Dana"), (f"+{DANA}", "Eli")}


async def test_a_conversation_that_became_part_of_another_is_still_found_by_its_number(
    postbox: Postbox,
) -> None:
    await postbox.says(said("hidden", at=postbox.at(-3 * HOUR), person=None, user_id=DANAS_ID))
    former = await the_one(postbox)
    await postbox.says(said("shown", at=postbox.at(-2 * HOUR)))
    assert len(await postbox.conversations()) == 2
    await postbox.says(said("both", at=postbox.at(-HOUR), user_id=DANAS_ID))
    one = await the_one(postbox)
    assert (await postbox.app.conversations.transcript(former.id, 9)).view == one
    row = await postbox.app.database.fetchrow(
        "SELECT person, user_id, window_ends_at FROM conversations WHERE id = $1", former.id
    )
    assert row is not None
    assert (row["person"], row["window_ends_at"]) == (f"+{DANA}", postbox.at(-2 * HOUR) + SERVICE_WINDOW)


async def test_a_campaign_with_both_numbers_of_a_person_has_the_person_once(postbox: Postbox) -> None:
    moved = {
        "type": "system",
        "system": {"type": "user_changed_number", "wa_id": a_phone(2)[1:], "body": "…"},
    }
    await postbox.says(said("", at=postbox.now, person=a_phone(0)[1:], message=moved, name=None))
    ledger = Ledger(postbox.app.database)
    both, one = await ledger.a_campaign(people=3), await ledger.a_campaign(people=2)
    assert (await ledger.counts(both)).audience == 2
    assert await ledger.campaigns.rejected(both.campaign.id) == {"duplicate": 1}
    rows = [row async for chunk in ledger.campaigns.export(both.campaign.id) for row in chunk]
    assert [(row["line"], row["phone"]) for row in rows if row["state"] == "rejected"] == [
        (0, f"same person as line 2: {a_phone(2)}")
    ]
    assert (await ledger.counts(one)).audience == 2, "a former number alone may be somebody else's by now"


async def test_several_workers_take_in_many_lives_at_once(postbox: Postbox) -> None:
    """Each life is spread over bodies that four workers take in small batches, in any order; nobody is lost or doubled."""
    people = range(12)
    bodies = [body for n in people for body in _a_life(postbox, n)] * 2
    random.Random(5).shuffle(bodies)
    await postbox.app.inbox.add(bodies, within=timedelta(seconds=5), urgent=[True] * len(bodies))

    async def work() -> None:
        while await postbox.app.intake.drain(3):
            pass

    await asyncio.gather(*(work() for _ in range(4)))
    assert (await postbox.app.inbox.waiting()).bodies == 0
    assert await postbox.app.inbox.quarantined(10) == []
    conversations = await postbox.conversations()
    assert sorted((one.person, one.user_id) for one in conversations) == sorted(
        (a_phone(100 + n), f"US.{n}") for n in people
    )
    assert {one.suppressed for one in conversations} == {"opted_out"}
    assert {one.window.ends_at for one in conversations} == {postbox.at(-HOUR) + SERVICE_WINDOW}
    kept = await postbox.app.database.fetchval(
        "SELECT count(*) FROM inbound WHERE conversation_id = ANY ($1)", [one.id for one in conversations]
    )
    assert kept == 4 * len(people)


def _a_life(postbox: Postbox, n: int) -> Sequence[bytes]:
    """A hidden person shows the number, moves, and opts out by the id alone."""
    former, present, user_id = a_phone(n)[1:], a_phone(100 + n)[1:], f"US.{n}"
    moved = {"type": "system", "system": {"type": "user_changed_number", "wa_id": present, "body": "…"}}
    return [
        said("hidden", at=postbox.at(-4 * HOUR), person=None, user_id=user_id),
        said("shown", at=postbox.at(-3 * HOUR), person=former, user_id=user_id),
        said("", at=postbox.at(-2 * HOUR), person=former, message=moved, name=None),
        said("stop", at=postbox.at(-HOUR), person=None, user_id=user_id),
    ]
