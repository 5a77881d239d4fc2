"""Old campaigns: whom we wrote to is forgotten after a time, and what came of it is not.

Read these from top to bottom: each test is one idea, told in its docstring.
"""

from __future__ import annotations

import pytest
from support.world import World

from dispatcher.domain.campaign import Campaign
from dispatcher.domain.errors import Archived

LONG_KEPT = pytest.mark.settings(keep_campaigns_days=400)


async def years_pass(world: World) -> None:
    """Everything that is there happened two years ago."""
    await world.app.database.execute(
        """UPDATE campaigns SET created_at = created_at - interval '2 years',
            started_at = started_at - interval '2 years', finished_at = finished_at - interval '2 years'"""
    )


async def hours_pass(world: World) -> None:
    """Upkeep makes its rounds: each minute, and each hour."""
    for _ in range(3):
        await world.app.archive.keep_going()
        await world.app.archive.drop_old()


async def a_sent_campaign(world: World) -> Campaign:
    campaign = await world.a_campaign(people=40)
    async with world.workers():
        await world.becomes(campaign)
    await world.takes_in()
    return campaign


@LONG_KEPT
async def test_after_its_time_a_campaign_is_its_numbers(world: World) -> None:
    """Two years ago I sent to 40 people. Upkeep, by itself, forgets who they were; the report says what it said then."""
    await world.a_sender()
    async with world.webhooks():
        campaign = await a_sent_campaign(world)
    before = await world.app.campaigns.report(campaign.id)
    assert sum(reported.people for reported in before.reported if reported.state) == 40
    await years_pass(world)
    await hours_pass(world)

    after = await world.app.campaigns.report(campaign.id)
    assert after.view.campaign.archived_at is not None
    assert after.view.counts == before.view.counts
    assert (after.ended, after.reported, after.posting_time) == (
        before.ended,
        before.reported,
        before.posting_time,
    )
    with pytest.raises(Archived, match="keep_campaigns_days"):
        await world.app.campaigns.with_people(campaign.id)
    assert await world.app.campaigns.check() == []


async def test_without_a_setting_nothing_is_ever_forgotten(world: World) -> None:
    """I have not said how long people shall be kept. So they are kept."""
    await world.a_sender()
    campaign = await a_sent_campaign(world)
    await years_pass(world)
    await hours_pass(world)
    await world.both_ends_agree(campaign)


@LONG_KEPT
async def test_the_next_campaign_goes_on_as_if_nothing_had_happened(world: World) -> None:
    """While old campaigns are left behind, new ones are sent: to the same people, too, and each of them once."""
    await world.a_sender()
    await a_sent_campaign(world)
    await years_pass(world)
    await world.app.archive.keep_going()
    second = await world.a_campaign(people=40, name="winter")
    async with world.workers():
        await hours_pass(world)
        counts = await world.becomes(second)
    assert (counts.accepted, counts.unsure) == (40, 0)
    await world.both_ends_agree(second)


@LONG_KEPT
async def test_what_meta_still_says_of_somebody_forgotten_does_no_harm(world: World) -> None:
    """A report that comes two years late is counted and dropped: there is nothing that it could change."""
    await world.a_sender()
    await world.meta.reports_in_vain()
    campaign = await world.a_campaign(people=40)
    async with world.workers():
        await world.becomes(campaign)
    await years_pass(world)
    await hours_pass(world)
    assert (await world.app.campaigns.find(campaign.id)).archived_at is not None
    async with world.webhooks():
        await world.takes_in()
    assert await world.app.inbox.quarantined(100) == []
    counted = world.app.events.registry.get_sample_value(
        "dispatcher_webhook_updates_taken_total", {"kind": "archived"}
    )
    assert counted is not None
    assert counted >= 40
