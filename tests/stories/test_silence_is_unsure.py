"""Meta took the message and never answered: we do not know, we say so, and we never send it again by ourselves."""

from __future__ import annotations

import pytest
from support.world import World

from dispatcher.domain.message import MessageState


@pytest.mark.settings(post_timeout_s=1.0, connect_timeout_s=0.5)
async def test_a_message_without_an_answer_is_unsure_and_never_sent_again(world: World) -> None:
    """The connection went silent for some. Who has the message? Nobody can say, so nobody gets it twice."""
    await world.a_sender()
    await world.meta.behaves(faults={"silent_accepted": 0.2})
    campaign = await world.a_campaign(people=100)
    async with world.workers():
        counts = await world.becomes(campaign)
    assert counts.unsure > 0
    assert counts.accepted + counts.unsure == await world.meta.accepted() == 100
    report = await world.app.campaigns.report(campaign.id)
    assert [(end.state, end.reason) for end in report.ended] == [(MessageState.UNSURE, "answer_lost")]
    assert (await world.meta.record())["duplicates"] == 0
    await world.both_ends_agree(campaign)


@pytest.mark.settings(post_timeout_s=2.0, connect_timeout_s=0.5)
async def test_whatever_the_network_does_nobody_is_messaged_twice(world: World) -> None:
    """Connections break before, while and after Meta takes a message; gateways answer 502. Every person: at most one."""
    await world.a_sender()
    await world.meta.behaves(
        faults={
            "closed_unread": 0.1,
            "closed_accepted": 0.1,
            "bare_5xx": 0.1,
            "bare_5xx_accepted": 0.1,
        },
        errors={131000: 0.05, 2: 0.05},
    )
    campaign = await world.a_campaign(people=200)
    async with world.workers():
        counts = await world.becomes(campaign)
    assert counts.accepted + counts.unsure == 200
    assert counts.accepted <= await world.meta.accepted() <= 200
    assert (await world.meta.record())["duplicates"] == 0
    await world.both_ends_agree(campaign)
