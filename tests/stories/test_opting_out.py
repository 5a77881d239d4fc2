"""People who do not want to hear from us any more, in the middle of whatever is running."""

from __future__ import annotations

import time

import pytest
from support.builders import Crowd, a_phone
from support.meta import Arrived
from support.waiting import wait_until
from support.world import World

from dispatcher.domain.ids import PersonKey

pytestmark = pytest.mark.settings(webhook_apply_wait_s=9)
"""So that the answers wait for intake on a busy machine, too."""
ON_THE_WIRE_MS = 300
"""How long what was granted before may still be on its way, on a busy machine; claims are up to a second ahead."""


async def a_second_passes() -> None:
    """Meta tells times in whole seconds, and of two wishes in one the no counts."""
    now_s = int(time.time())
    await wait_until(lambda: int(time.time()) > now_s, description="the next second")


def reached(arrived: list[Arrived], person: str) -> list[Arrived]:
    return [each for each in arrived if each.person == person]


async def test_whoever_opts_out_gets_nothing_more_from_any_campaign(world: World) -> None:
    """Two campaigns to the same people run on two numbers. Some of them write STOP to one of the numbers, one after the
    other, while workers have hundreds of messages in hand. Once we have answered Meta's webhook, nobody of them gets
    anything, from either; who had not been reached by then never is."""
    harbour = await world.a_sender("harbour", rate="40/s")
    await world.a_sender("quay", rate="40/s")
    autumn = await world.a_campaign(people=240, senders=("harbour",), name="autumn")
    winter = await world.a_campaign(people=Crowd(240), senders=("quay",), name="winter")
    stopped: dict[str, int] = {}
    async with world.webhooks(), world.workers(1), world.intake():
        await world.accepts(autumn, 20)
        # Those whose turn is about to come: their messages are claimed, or will be within a moment.
        for n in range(50, 150, 5):
            wamid = await world.meta.writes(harbour.phone_number_id, a_phone(n), "Stop!")
            stopped[a_phone(n)] = await world.meta.answered_at_ms(wamid)
        counts = [await world.becomes(campaign) for campaign in (autumn, winter)]
        await world.meta.reported()

    arrived = await world.meta.arrived()
    late = [
        each
        for person, answered_at_ms in stopped.items()
        for each in reached(arrived, person)
        if each.at_ms > answered_at_ms + ON_THE_WIRE_MS
    ]
    assert late == []
    spared = sum(2 - len(reached(arrived, person)) for person in stopped)
    assert spared > 0
    assert sum(each.suppressed for each in counts) == spared
    assert all(each.accepted + each.suppressed == each.audience for each in counts)
    assert await world.meta.violations() == {}
    await world.both_ends_agree(autumn, winter)


async def test_a_button_and_a_preference_told_to_meta_count_like_a_word(world: World) -> None:
    """One slow sender, and people at the end of the line: one presses the button that opts out, one tells Meta. Neither is
    even tried, and the campaign ends without them."""
    sender = await world.a_sender("harbour", rate="20/s")
    campaign = await world.a_campaign(people=60)
    async with world.webhooks(), world.workers(1), world.intake():
        await world.accepts(campaign, 1)
        wamid = await world.meta.writes(
            sender.phone_number_id, a_phone(58), button={"payload": "STOP:autumn", "text": "No more"}
        )
        await world.meta.prefers(sender.phone_number_id, a_phone(59), "stop")
        await world.meta.answered_at_ms(wamid)
        counts = await world.becomes(campaign)
        await world.meta.reported()
    assert (counts.accepted, counts.suppressed) == (58, 2)
    arrived = await world.meta.arrived(campaign.id)
    assert reached(arrived, a_phone(58)) == reached(arrived, a_phone(59)) == []
    assert (await world.meta.record())["refused"] == {}
    history = await world.app.senders.suppression_history(PersonKey(a_phone(58)))
    assert [(entry.change, entry.source) for entry in history] == [("opted_out", "button: No more")]
    await world.both_ends_agree(campaign)


async def test_whoever_resumes_is_in_the_next_campaign_again(world: World) -> None:
    """A person stops, is left out of a campaign, writes START, and is in the next one. What was left out stays so."""
    sender = await world.a_sender()
    async with world.webhooks(), world.workers(1), world.intake():
        for word, suppressed in (("stop", 1), ("Start", 0)):
            wamid = await world.meta.writes(sender.phone_number_id, a_phone(1), word)
            await world.meta.answered_at_ms(wamid)
            campaign = await world.a_campaign(people=3, name=word)
            counts = await world.becomes(campaign)
            assert (counts.accepted, counts.suppressed) == (3 - suppressed, suppressed)
            await a_second_passes()
        await world.meta.reported()
    await world.both_ends_agree(campaign)


async def test_a_person_who_hides_their_number_and_moves_is_still_the_one_who_opted_out(world: World) -> None:
    """Somebody with a username writes, shows the number later, changes it, and then says STOP with the new id alone.
    A campaign with the new number leaves them out."""
    sender = await world.a_sender()
    number, former, present = sender.phone_number_id, a_phone(800), a_phone(801)
    async with world.webhooks(), world.intake():
        await world.meta.behaves(webhooks={"late_share": 0})
        await world.meta.writes(number, former, "Hello", is_hidden=True)
        await world.meta.writes(number, former, "It is me")
        await a_second_passes()
        await world.meta.moves(number, former, present)
        await a_second_passes()
        await world.meta.writes(number, present, "Stop", is_hidden=True)
        await world.meta.reported()
        [conversation] = await world.app.conversations.list(9)
        assert (conversation.person, conversation.suppressed) == (present, "opted_out")
        campaign = await world.a_campaign(people=Crowd(3, first=800))
        assert (await world.counts(campaign)).suppressed == 1
