"""Senders change their standing: banned, restored, without a token, with a paused template. What campaigns do then."""

from __future__ import annotations

import pytest
from support.builders import TOKEN_VARIABLE
from support.meta import TOKEN
from support.waiting import wait_until
from support.world import World

from dispatcher.domain.campaign import Campaign
from dispatcher.domain.hold import HoldReason
from dispatcher.domain.sender import SenderStatus


async def lane_is_held(world: World, campaign: Campaign, reason: HoldReason) -> str:
    """Wait until the campaign's only lane says this reason and has nothing in hand; what it says then."""

    async def is_held() -> bool:
        [lane] = (await world.view(campaign)).lanes
        return lane.hold is not None and lane.hold.reason is reason and not lane.is_running

    await wait_until(is_held, description=f"the lane says {reason}")
    [lane] = (await world.view(campaign)).lanes
    return str(lane.hold)


async def test_a_banned_sender_sends_nothing_and_says_why(world: World) -> None:
    """One of my two senders is banned. The other does the work, and I can see what is wrong with the first."""
    await world.a_sender("harbour")
    banned = await world.a_sender("quay", status=SenderStatus.BANNED)
    campaign = await world.a_campaign(people=60, senders=["harbour", "quay"])
    async with world.workers():
        await world.becomes(campaign)
    record = await world.meta.record()
    assert banned.phone_number_id not in record["by_number"], "nothing was even tried"
    assert record["accepted"] == 60
    await world.both_ends_agree(campaign)


async def test_a_campaign_on_a_banned_sender_alone_waits_and_says_why(world: World) -> None:
    """My only sender is banned. Nothing goes out, nobody is lost, and the campaign says what it waits for."""
    await world.a_sender(status=SenderStatus.BANNED)
    campaign = await world.a_campaign(people=30)
    async with world.workers():
        assert await lane_is_held(world, campaign, HoldReason.SENDER_BLOCKED) == "sender_blocked (BANNED)"
    [waiting] = (await world.view(campaign)).waiting
    assert (waiting.people, waiting.hold.reason) == (30, HoldReason.SENDER_BLOCKED)
    assert (await world.meta.record())["by_number"] == {}


async def test_a_ban_in_mid_campaign_stops_it_and_it_goes_on_when_the_ban_is_lifted(world: World) -> None:
    """Meta banned my sender while it was sending. It stopped; now it is CONNECTED again, and goes on by itself."""
    sender = await world.a_sender(rate="100/s")
    campaign = await world.a_campaign(people=200)
    async with world.workers():
        await world.accepts(campaign, 20)
        await world.app.senders.change("harbour", {"status": SenderStatus.BANNED})
        await lane_is_held(world, campaign, HoldReason.SENDER_BLOCKED)
        await world.meta.number_is(sender.phone_number_id, "BANNED")
        stopped = await world.counts(campaign)
        assert stopped.unsure == stopped.claimed == 0
        assert stopped.accepted == await world.meta.accepted() < 200

        await world.meta.number_is(sender.phone_number_id, "CONNECTED")
        await world.app.senders.change("harbour", {"status": SenderStatus.CONNECTED})
        counts = await world.becomes(campaign)
    assert counts.accepted == 200
    assert await world.meta.violations() == {}
    await world.both_ends_agree(campaign)


async def test_a_ban_that_only_metas_answers_tell_us_holds_the_sender_until_somebody_has_looked(
    world: World,
) -> None:
    """Nobody told us about the ban: the first refusals say it, and nothing is posted after them."""
    sender = await world.a_sender(rate="100/s")
    campaign = await world.a_campaign(people=150)
    async with world.workers():
        await world.accepts(campaign, 10)
        await world.meta.number_is(sender.phone_number_id, "BANNED")
        said = await lane_is_held(world, campaign, HoldReason.SENDER_HELD)
        assert "131031" in said
        refused = (await world.meta.record())["refused"]["131031"]
        assert refused <= world.app.settings.in_flight, "no more than what was on the wire"

        await world.meta.number_is(sender.phone_number_id, "CONNECTED")
        await world.app.senders.lift_holds("harbour")
        counts = await world.becomes(campaign)
    assert (counts.accepted, counts.refused) == (150, 0), "whoever was refused for the ban was not at fault"
    await world.both_ends_agree(campaign)


async def test_a_template_paused_at_meta_holds_the_campaign_with_its_code(world: World) -> None:
    """Meta paused the template for low quality. The campaign waits for it and tells me the code."""
    await world.a_sender()
    campaign = await world.a_campaign(people=50)
    await world.meta.template_is("PAUSED")
    async with world.workers():
        said = await lane_is_held(world, campaign, HoldReason.TEMPLATE_BLOCKED)
        assert "132015" in said
        assert (await world.counts(campaign)).pending == 50
        await world.meta.template_is("APPROVED")
        await world.app.senders.sync_templates("harbour")
        counts = await world.becomes(campaign)
    assert counts.accepted == 50
    await world.both_ends_agree(campaign)


async def test_a_wrong_token_holds_the_account_and_no_message_suffers(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The token in the environment was wrong. I put it right and lifted the hold; everybody got the message."""
    monkeypatch.setenv("WRONG_TOKEN", "stale")
    await world.a_sender()
    await world.app.senders.change("harbour", {"token_ref": "env:WRONG_TOKEN"})
    campaign = await world.a_campaign(people=40)
    async with world.workers():
        said = await lane_is_held(world, campaign, HoldReason.ACCOUNT_FAULT)
        assert "190" in said
        assert TOKEN not in said
        assert (await world.counts(campaign)).pending == 40
        await world.app.senders.change("harbour", {"token_ref": f"env:{TOKEN_VARIABLE}"})
        await world.app.senders.lift_holds("harbour")
        counts = await world.becomes(campaign)
    assert counts.accepted == 40
    await world.both_ends_agree(campaign)
