"""What webhooks tell of people: every kind ends in a conversation, and wishes bind at once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from support.builders import a_phone
from support.ledger import Ledger, taken
from support.people import DANA, DANAS_ID, Postbox, a_call, a_preference, in_some_orders, said, the_one
from support.waiting import wait_until
from support.webhooks import SAMPLES

from dispatcher.channel.webhooks import read_webhook
from dispatcher.domain.grant import Ask
from dispatcher.domain.ids import MessageId, PersonKey
from dispatcher.domain.message import given_back
from dispatcher.domain.opting import SuppressionChange
from dispatcher.domain.pacing import limits_of
from dispatcher.domain.webhook import Inbound, Report, Unreadable
from dispatcher.domain.window import SERVICE_WINDOW

HOUR = timedelta(hours=1)


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
        # Nobody knows the messages that the samples report on.
        assert len(aside) == reports + unreadable, sample
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
