"""One reply turn in this process, on the real ledger, limits and sandbox: what is said, and what Meta makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from support.builders import a_phone
from support.conversations import DAY, a_conversation, has_written
from support.reply_turns import lane_of, say, states, unsure_ones
from support.waiting import wait_until
from support.world import World

from dispatcher.clock import SystemClock
from dispatcher.domain.contact import Contact, Contacts
from dispatcher.domain.hold import HoldReason
from dispatcher.domain.ids import REPLIES, PersonKey
from dispatcher.domain.interactive import Button, Buttons, Choices, HeaderMedia, Link, Row, Section
from dispatcher.domain.message import MessageState
from dispatcher.domain.queued_reply import NewReply, NotQueued, Queued, ReplyRefusal
from dispatcher.domain.reply import FreeForm, Location, Media, MediaKind, Reaction, Text


async def test_a_conversation_is_said_in_order_in_one_turn(world: World) -> None:
    sender = await world.a_sender()
    await has_written(world, sender)
    queued = await say(world, *(f"text {n}" for n in range(12)))
    await lane_of(world).serve(sender.id)
    assert await world.meta.arrived_ids(REPLIES) == queued
    assert await world.meta.violations() == {}
    view = await world.app.replies.view(queued[0])
    assert view.wamid == (await world.meta.arrived(REPLIES))[0].wamid


CONTENTS: Sequence[FreeForm] = [
    Text("See https://shop.example", preview_url=True),
    Media(MediaKind.IMAGE, "https://shop.example/a.png", "Look"),
    Media(MediaKind.VIDEO, "9001", "Look"),
    Media(MediaKind.AUDIO, "9001"),
    Media(MediaKind.DOCUMENT, "9001", "Bill", "bill.pdf"),
    Media(MediaKind.STICKER, "9001"),
    Location(52.52, 13.405, "Berlin", "Alexanderplatz"),
    Reaction("wamid.IN.1", "👍"),
    Reaction("wamid.IN.1", ""),
    Contacts([Contact("Ana Lima", "Ana", ["+12025550177"], ["ana@example.org"], "Harbour")]),
    Buttons("When?", [Button("am", "Morning"), Button("pm", "Afternoon")], "Delivery", "Thanks"),
    Buttons("When?", [Button("am", "Morning")], HeaderMedia("image", "https://shop.example/a.png")),
    Choices(
        "Where?",
        "Branches",
        [Section([Row("b1", "Harbour", "Late")], "N"), Section([Row("b2", "Quay")], "S")],
    ),
    Link("Track your order", "Track", "https://shop.example/t/77"),
]


async def test_every_kind_of_content_is_taken_by_meta(world: World) -> None:
    sender = await world.a_sender()
    await has_written(world, sender)
    for content in CONTENTS:
        context = None if isinstance(content, Reaction) else "wamid.IN.1"
        answer = await world.app.replies.queue(NewReply("harbour", a_phone(1), content, context))
        assert isinstance(answer, Queued), answer
    await lane_of(world).serve(sender.id)
    assert await states(world) == [(MessageState.ACCEPTED, None)] * len(CONTENTS)


async def test_a_person_without_a_number_is_answered(world: World) -> None:
    sender = await world.a_sender()
    danas_id = "US.7000000000000000001"
    await world.meta.write(sender.phone_number_id, danas_id)
    await a_conversation(world.app.database, sender, "", user_id=danas_id)
    answer = await world.app.replies.queue(NewReply("harbour", danas_id, Text("Done.")))
    assert isinstance(answer, Queued)
    await lane_of(world).serve(sender.id)
    assert await states(world) == [(MessageState.ACCEPTED, None)]


async def test_who_opted_out_of_campaigns_is_answered_all_the_same(world: World) -> None:
    sender = await world.a_sender()
    await has_written(world, sender)
    await world.app.senders.suppress([(PersonKey(a_phone(1)), a_phone(1))], "opted_out", "a test")
    await say(world, "You are off the list.")
    await lane_of(world).serve(sender.id)
    assert await states(world) == [(MessageState.ACCEPTED, None)]


async def test_a_window_that_closes_while_a_reply_waits_refuses_it_without_a_post(world: World) -> None:
    sender = await world.a_sender()
    await has_written(world, sender)
    await say(world, "too", "late")
    await world.app.database.execute("UPDATE conversations SET window_ends_at = ledger_now()")
    await lane_of(world).serve(sender.id)
    assert await states(world) == [(MessageState.REFUSED, "window_closed")] * 2
    assert (await world.meta.record())["refused"] == {}
    refused = await world.app.replies.queue(NewReply("harbour", a_phone(1), Text("again")))
    assert isinstance(refused, NotQueued)
    assert refused.reason is ReplyRefusal.WINDOW_CLOSED
    assert refused.window_closed_at is not None


class LaterAndLater:
    """A clock on which an hour passes between any two looks; what day it is, it does not say wrong."""

    def __init__(self) -> None:
        self._clock = SystemClock()
        self._looks = 0

    def now(self) -> datetime:
        return self._clock.now()

    def monotonic(self) -> float:
        self._looks += 1
        return self._clock.monotonic() + 3_600 * self._looks


async def test_a_window_that_closes_between_claim_and_post_is_noticed(world: World) -> None:
    sender = await world.a_sender()
    await has_written(world, sender)
    await say(world, "almost")
    await world.app.database.execute(
        "UPDATE conversations SET window_ends_at = ledger_now() + interval '30 min'"
    )
    pace = replace(world.app.lane_tools.settings, lease=DAY)
    await lane_of(world, clock=LaterAndLater(), settings=pace).serve(sender.id)
    assert await states(world) == [(MessageState.REFUSED, "window_closed")]
    assert await world.meta.accepted() == 0


async def test_a_lost_answer_stops_its_conversation_and_no_other(world: World) -> None:
    sender = await world.a_sender()
    for n in (1, 2):
        await has_written(world, sender, a_phone(n))
    await world.meta.behaves(faults={"closed_accepted": 1.0})
    [lost] = await say(world, "one")
    await lane_of(world).serve(sender.id)
    await world.meta.behaves(faults={})
    await say(world, "two")
    await say(world, "hello", to=2)
    await lane_of(world).serve(sender.id)
    assert [state for state, _ in await states(world)] == ["unsure", "pending", "accepted"]
    assert [view.ref.message_id for view in await unsure_ones(world)] == [lost]
    assert (await world.app.unsure_replies.decide()) == (0, 0), "the policy asks, whatever the time"

    assert await world.app.unsure_replies.settle([lost], MessageState.ACCEPTED) == 1
    await lane_of(world).serve(sender.id)
    assert [state for state, _ in await states(world)] == ["accepted"] * 3
    assert await world.meta.accepted() == 3


async def test_a_report_settles_an_unsure_reply_and_those_behind_it_go_on(world: World) -> None:
    sender = await world.a_sender()
    await has_written(world, sender)
    async with world.webhooks():
        await world.meta.behaves(faults={"closed_accepted": 1.0})
        first, second = await say(world, "one", "two")
        await lane_of(world).serve(sender.id)
        await world.meta.behaves(faults={})
        assert [state for state, _ in await states(world)] == ["unsure", "pending"]
        await world.takes_in()
        await lane_of(world).serve(sender.id)
        await world.takes_in()
    assert await states(world) == [(MessageState.ACCEPTED, None)] * 2
    assert await world.meta.arrived_ids(REPLIES) == [first, second]
    view = await world.app.replies.view(first)
    assert [told.state for told in view.receipts] == ["delivered"]
    assert await world.app.inbox.quarantined(10) == []


async def test_a_reported_failure_is_tried_again_if_nothing_was_said_since(world: World) -> None:
    sender = await world.a_sender()
    for n in (1, 2):
        await has_written(world, sender, a_phone(n))
    async with world.webhooks():
        await world.meta.behaves(webhooks={"failures": {131000: 1.0}})
        [alone] = await say(world, "alone", to=1)
        overtaken, _ = await say(world, "one", "two", to=2)
        await lane_of(world).serve(sender.id)
        await world.takes_in()
    reopened = await world.app.replies.view(alone)
    assert (reopened.state, reopened.code) == (MessageState.PENDING, 131000)
    assert [attempt.code for attempt in reopened.attempts] == [131000]
    kept = await world.app.replies.view(overtaken)
    assert (kept.state, [told.state for told in kept.receipts]) == (MessageState.ACCEPTED, ["failed"])


async def test_those_behind_a_reopened_reply_wait_for_it(world: World) -> None:
    sender = await world.a_sender()
    await has_written(world, sender)
    async with world.webhooks():
        await world.meta.behaves(webhooks={"failures": {131000: 1.0}})
        [first] = await say(world, "one")
        await lane_of(world).serve(sender.id)
        [second] = await say(world, "two")
        await world.takes_in()
        await lane_of(world).serve(sender.id)
    assert await world.meta.arrived_ids(REPLIES) == [first]
    assert (await world.app.replies.view(second)).waits_for == first


async def test_what_meta_refuses_for_now_is_posted_again_by_its_calendar(world: World) -> None:
    sender = await world.a_sender()
    await has_written(world, sender)
    await world.meta.behaves(errors={131056: 1.0})
    [one] = await say(world, "one")
    await lane_of(world).serve(sender.id)
    view = await world.app.replies.view(one)
    assert (view.state, view.reason, view.code) == (MessageState.PENDING, "pair", 131056)
    assert view.not_before is not None
    await world.meta.behaves(errors={})

    async def is_accepted() -> bool:
        await lane_of(world).serve(sender.id)
        return (await world.app.replies.view(one)).state is MessageState.ACCEPTED

    await wait_until(is_accepted, description="a second attempt, when its time has come")
    view = await world.app.replies.view(one)
    assert (view.attempt, [attempt.code for attempt in view.attempts]) == (2, [131056])


async def test_a_wait_of_its_own_is_explained_with_its_end(world: World) -> None:
    sender = await world.a_sender()
    await has_written(world, sender)
    [one] = await say(world, "one")
    await world.app.database.execute(
        "UPDATE replies SET not_before = ledger_now() + interval '1 hour', reason = 'retry_later'"
    )
    view = await world.app.replies.view(one)
    explanation = await world.app.replies.explain(view)
    assert explanation.binding is not None
    assert (explanation.binding.reason, explanation.binding.until) == (
        HoldReason.RETRY_LATER,
        view.not_before,
    )
    await world.app.database.execute("UPDATE conversations SET window_ends_at = ledger_now()")
    late = await world.app.replies.explain(await world.app.replies.view(one))
    assert "closed" in late.summary
    assert "template" in late.advice


async def test_an_answer_about_the_sender_holds_its_replies_and_explains_them(world: World) -> None:
    sender = await world.a_sender()
    await has_written(world, sender)
    await world.meta.behaves(errors={131031: 1.0})
    one, two = await say(world, "one", "two")
    await lane_of(world).serve(sender.id)
    assert [state for state, _ in await states(world)] == ["pending", "pending"]
    explanation = await world.app.replies.explain(await world.app.replies.view(one))
    assert explanation.binding is not None
    assert explanation.binding.reason is HoldReason.SENDER_HELD
    refused = (await world.meta.record())["refused"]
    await lane_of(world).serve(sender.id)
    assert (await world.meta.record())["refused"] == refused, "nothing is posted into a hold"
    assert await world.app.reply_lane.sweep() == 0, "and nobody is woken for it"
    await world.app.senders.lift_holds("harbour")
    await world.meta.behaves(errors={})
    await lane_of(world).serve(sender.id)
    assert await world.meta.arrived_ids(REPLIES) == [one, two]
