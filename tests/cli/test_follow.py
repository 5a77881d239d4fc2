"""When following ends, and what it calls a rate."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from dispatcher.cli.follow import LONG_WAIT, _Meter, has_ended, is_held
from dispatcher.domain.campaign import Campaign, CampaignState, Counts, UnsurePolicy
from dispatcher.domain.content import SlotMapping
from dispatcher.domain.hold import Hold, HoldReason
from dispatcher.domain.ids import CampaignId
from dispatcher.domain.report import CampaignView, Waiting

NOW = datetime(2026, 10, 1, 12, tzinfo=UTC)


def a_view(*holds: Hold, state: CampaignState = CampaignState.RUNNING, claimed: int = 0) -> CampaignView:
    """A campaign in which one person waits for each of these holds."""
    campaign = Campaign(
        CampaignId(1), "spring", state, "offer", "en_US", (), SlotMapping(), (), 1, 0, None,
        UnsurePolicy.GIVE_UP, NOW, NOW, None,
    )  # fmt: skip
    counts = Counts(len(holds) + claimed, len(holds), claimed, 0, 0, 0, 0, 0, 0)
    return CampaignView(campaign, counts, (), [Waiting(1, hold) for hold in holds])


SOON, LATE = NOW + LONG_WAIT / 2, NOW + LONG_WAIT * 2


@pytest.mark.parametrize(
    ("holds", "expected"),
    [
        ([Hold(HoldReason.TIER_EXHAUSTED, LATE)], True),
        ([Hold(HoldReason.SENDER_BLOCKED)], True),
        ([Hold(HoldReason.PAUSED)], True),
        ([Hold(HoldReason.QUEUED)], False),
        ([Hold(HoldReason.RATE, SOON)], False),
        ([Hold(HoldReason.TIER_EXHAUSTED, LATE), Hold(HoldReason.PAIR, SOON)], False),
    ],
)
def test_a_campaign_is_held_when_everybody_waits_for_long(holds: list[Hold], expected: bool) -> None:
    assert is_held(a_view(*holds), NOW) is expected
    assert not is_held(a_view(*holds, claimed=1), NOW)


def test_a_cancelled_campaign_has_ended_when_its_turns_have() -> None:
    assert not has_ended(a_view(state=CampaignState.CANCELLED, claimed=1))
    assert has_ended(a_view(state=CampaignState.CANCELLED))
    assert has_ended(a_view(state=CampaignState.COMPLETED))
    assert not has_ended(a_view(Hold(HoldReason.PAUSED), state=CampaignState.PAUSED))


def test_the_rate_forgets_what_is_long_ago() -> None:
    meter = _Meter()
    readings = [(0.0, 0), (1.0, 80), (2.0, 160), (3.0, 160), (4.0, 160), (5.0, 160)]
    assert [round(meter.rate(at, count)) for at, count in readings] == [0, 80, 80, 53, 27, 0]


def test_waiting_is_long_beyond_some_seconds() -> None:
    assert timedelta(seconds=1) < LONG_WAIT < timedelta(minutes=1)
