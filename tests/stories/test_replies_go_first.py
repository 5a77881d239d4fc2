"""Replies: who has written is answered, and no campaign is in the way.

Read these from top to bottom: each test is one idea, told in its docstring.
"""

from __future__ import annotations

import asyncio

from support.builders import Crowd, a_phone
from support.conversations import DAY, a_conversation, has_written
from support.waiting import wait_until
from support.world import World

from dispatcher.domain.ids import REPLIES
from dispatcher.domain.message import MessageState
from dispatcher.domain.queued_reply import NewReply, NotQueued, Queued, ReplyRefusal
from dispatcher.domain.reply import Text

DANA, KIM = a_phone(1), a_phone(2)


async def test_a_person_who_has_written_is_answered(world: World) -> None:
    """Dana has asked where her parcel is. I answer, in two messages; they arrive in this order."""
    sender = await world.a_sender()
    await has_written(world, sender, DANA)
    async with world.workers():
        for text in ("It is on its way.", "It arrives tomorrow."):
            answer = await world.app.replies.queue(NewReply("harbour", DANA, Text(text)))
            assert isinstance(answer, Queued)
        await wait_until(lambda: are_said(world, 2), description="both are said")
    first, second = await world.meta.arrived(REPLIES)
    assert (first.person, first.token.message_id < second.token.message_id) == (DANA, True)


async def test_after_a_day_of_silence_only_a_template_may_be_sent(world: World) -> None:
    """Kim wrote two days ago. I am told at once that it is too late, since when, and what I can do."""
    sender = await world.a_sender()
    await a_conversation(world.app.database, sender, KIM, open_for=-DAY)
    answer = await world.app.replies.queue(NewReply("harbour", KIM, Text("Sorry for the wait!")))
    assert isinstance(answer, NotQueued)
    assert answer.reason is ReplyRefusal.WINDOW_CLOSED
    assert answer.window_closed_at is not None
    assert "template" in answer.hint
    assert await world.app.replies.recent(10) == []


async def test_a_reply_does_not_wait_behind_a_campaign(world: World) -> None:
    """A campaign takes all that the sender may send, for half a minute. Dana is answered in the middle of it."""
    sender = await world.a_sender(rate="20/s")
    await has_written(world, sender, DANA)
    campaign = await world.a_campaign(people=Crowd(600, first=100))
    async with world.workers(1, "lanes"), world.workers(1, "replies"):
        await world.accepts(campaign, 20)
        for n in range(5):
            await world.app.replies.queue(NewReply("harbour", DANA, Text(f"answer {n}")))
        await wait_until(lambda: are_said(world, 5), description="Dana is answered")
        counts = await world.counts(campaign)
        assert counts.pending > 0, "the campaign is not even over"
        await world.app.campaigns.pause(campaign.id)
    assert await world.meta.violations() == {}


async def test_where_many_people_write_both_they_and_the_campaign_get_their_part(world: World) -> None:
    """A number shared with the phone app: 20 a second for all. Ten people a second write, five are answered.

    Meta counts what comes in as well. Nothing is sent too fast, everybody is answered, and the campaign moves.
    """
    sender = await world.a_sender(rate="20/s")
    people = [a_phone(n) for n in range(40)]
    for person in people:
        await a_conversation(world.app.database, sender, person)
    campaign = await world.a_campaign(people=Crowd(1_000, first=100))
    loop = asyncio.get_running_loop()
    async with (
        world.webhooks(),
        world.workers(1, "lanes"),
        world.workers(1, "replies"),
        world.workers(1, "intake"),
    ):
        await world.accepts(campaign, 1)
        began_s, before = loop.time(), (await world.counts(campaign)).accepted
        for tick in range(35):
            due_s = began_s + 0.2 * tick
            await wait_until(
                lambda at_s=due_s: loop.time() >= at_s, description="a fifth of a second is over"
            )
            await world.meta.write(sender.phone_number_id, people[tick % 40], people[-1 - tick % 40])
            answer = await world.app.replies.queue(NewReply("harbour", people[tick % 40], Text("Thank you!")))
            assert isinstance(answer, Queued)
        await wait_until(lambda: are_said(world, 35), description="everybody is answered")
        assert (await world.counts(campaign)).accepted > before
        await world.app.campaigns.pause(campaign.id)
    record = await world.meta.record()
    assert "130429" not in record["refused"]
    assert record["violations"] == {}


async def are_said(world: World, replies: int) -> bool:
    """Whether so many replies are accepted, by the ledger and by Meta."""
    accepted = await world.app.replies.recent(100, state=MessageState.ACCEPTED)
    return len(accepted) == len(await world.meta.arrived(REPLIES)) == replies
