"""Orders to a campaign that runs: pause, resume, cancel. Each does what it says, once."""

from __future__ import annotations

import time

import pytest
from support.world import World

from dispatcher.domain.campaign import CampaignState
from dispatcher.domain.errors import Conflict
from dispatcher.domain.hold import HoldReason


async def test_a_pause_stops_posting_within_a_second_and_says_how_many_were_handed_over(world: World) -> None:
    """Something is wrong with the text: stop! How many have it already?"""
    await world.a_sender(rate="100/s")
    campaign = await world.a_campaign(people=400)
    async with world.workers(2):
        await world.accepts(campaign, 30)
        ordered_ms = time.time() * 1000
        stopped = await world.app.campaigns.pause(campaign.id)
        assert stopped.campaign.state is CampaignState.PAUSED
        assert stopped.still_in_flight == 0
        record = await world.meta.record()
        assert stopped.handed_over == record["accepted"]
        assert record["last_at_ms"] - ordered_ms < 1000
        again = await world.app.campaigns.pause(campaign.id)
        assert (again.handed_over, again.campaign.state) == (stopped.handed_over, CampaignState.PAUSED)
        [waiting] = (await world.view(campaign)).waiting
        assert (waiting.people, waiting.hold.reason) == (400 - stopped.handed_over, HoldReason.PAUSED)

        await world.app.campaigns.resume(campaign.id)
        await world.app.campaigns.resume(campaign.id)
        counts = await world.becomes(campaign)
    assert counts.accepted == 400
    await world.both_ends_agree(campaign)


async def test_a_cancelled_campaign_sends_nothing_more_and_everybody_ends_somewhere(world: World) -> None:
    """Call it off. Whoever has it has it; all others are cancelled, and it cannot be started again."""
    await world.a_sender(rate="100/s")
    campaign = await world.a_campaign(people=400)
    async with world.workers(2):
        await world.accepts(campaign, 30)
        stopped = await world.app.campaigns.cancel(campaign.id)
        again = await world.app.campaigns.cancel(campaign.id)
    assert stopped.still_in_flight == 0
    assert again.counts == stopped.counts
    assert (stopped.counts.pending, stopped.counts.claimed, stopped.counts.unsure) == (0, 0, 0)
    assert stopped.counts.cancelled == 400 - stopped.handed_over
    assert stopped.handed_over == await world.meta.accepted()
    with pytest.raises(Conflict):
        await world.app.campaigns.resume(campaign.id)
    await world.both_ends_agree(campaign)


async def test_a_paused_campaign_can_be_cancelled_and_one_that_never_ran_too(world: World) -> None:
    """No workers are needed to call something off."""
    await world.a_sender()
    paused = await world.a_campaign(people=10, name="paused")
    await world.app.campaigns.pause(paused.id)
    draft = await world.a_campaign(people=10, name="draft", is_started=False)
    for campaign in (paused, draft):
        stopped = await world.app.campaigns.cancel(campaign.id)
        assert stopped.counts.cancelled == 10
    await world.both_ends_agree(paused, draft)
