"""A campaign, a question, an answer, and a goodbye: what the dispatcher is for, from top to bottom."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from support.builders import a_phone
from support.waiting import wait_until
from support.world import World

from dispatcher.domain.ids import REPLIES
from dispatcher.domain.message import MessageState
from dispatcher.domain.queued_reply import NewReply, NotQueued, Queued, ReplyRefusal
from dispatcher.domain.reply import Text

DANA, KIM = a_phone(0), a_phone(199)
"""The first of the audience, and one of the last."""


async def test_campaign_question_reply_opt_out(world: World) -> None:
    """My shop sends an offer to 200 people. Dana asks about it and is answered while the others still get theirs.
    Kim, who is far down the list, says stop, and never hears of the offer."""
    harbour = await world.a_sender("harbour", rate="40/s")
    async with world.webhooks(), world.workers(), world.intake():
        # Nobody has written yet, so nobody may be answered: only a template opens a conversation.
        too_early = await world.app.replies.queue(NewReply("harbour", DANA, Text("May we help you?")))
        assert isinstance(too_early, NotQueued)
        assert too_early.reason is ReplyRefusal.NO_CONVERSATION

        offer = await world.a_campaign(people=200)
        await world.accepts(offer, 10)

        # Dana writes, and for a day she may be answered freely.
        wamid = await world.meta.writes(harbour.phone_number_id, DANA, "Is that true for shoes, too?")
        await world.meta.answered_at_ms(wamid)
        [conversation] = await world.app.conversations.list(10)
        assert conversation.person == DANA
        ends_at = conversation.window.ends_at
        assert ends_at is not None
        assert timedelta(hours=23) < ends_at - datetime.now(UTC) <= timedelta(hours=24)

        answer = await world.app.replies.queue(
            NewReply("harbour", DANA, Text("It is, until Sunday."), context_wamid=wamid, key="ticket-1")
        )
        assert isinstance(answer, Queued)
        again = await world.app.replies.queue(
            NewReply("harbour", DANA, Text("It is, until Sunday."), context_wamid=wamid, key="ticket-1")
        )
        assert isinstance(again, Queued)
        assert (again.id, again.is_new) == (answer.id, False)

        # Kim wants nothing of this; what has not been sent to her never is.
        stop = await world.meta.writes(harbour.phone_number_id, KIM, "STOP")
        await world.meta.answered_at_ms(stop)
        assert (await world.counts(offer)).pending > 0, "the offer is still being sent"

        async def is_answered() -> bool:
            return (await world.app.replies.view(answer.id)).state is MessageState.ACCEPTED

        await wait_until(is_answered, description="Dana is answered")
        counts = await world.becomes(offer)
        await world.meta.reported()

    assert (counts.accepted, counts.suppressed) == (199, 1)
    assert KIM not in {each.person for each in await world.meta.arrived(offer.id)}
    assert [each.person for each in await world.meta.arrived(REPLIES)] == [DANA]
    transcript = await world.app.conversations.transcript(conversation.id, 10)
    assert {line.text for line in transcript.spoken} >= {
        "Is that true for shoes, too?",
        "It is, until Sunday.",
    }
    assert await world.meta.violations() == {}
    await world.both_ends_agree(offer)
