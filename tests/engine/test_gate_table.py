"""The gate, held against the rules that users of senders already follow: two statuses, both must allow sending."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.builders import NOON, a_sender, an_order
from support.meta import OFFER

from dispatcher.domain.campaign import Campaign, CampaignState
from dispatcher.domain.errors import BadValue
from dispatcher.domain.fence import PlacePart
from dispatcher.domain.gate import Drop, DropReason, Go, Pause, decide
from dispatcher.domain.hold import Hold, HoldReason
from dispatcher.domain.sender import Lifecycle, SenderStatus
from dispatcher.domain.template import Template, parse_template
from dispatcher.settings import Settings

NOW = NOON

MAY_SEND = {
    SenderStatus.CONNECTED: True,
    SenderStatus.PENDING: False,
    SenderStatus.DELETED: False,
    SenderStatus.BANNED: False,
    SenderStatus.RESTRICTED: False,
    SenderStatus.DISCONNECTED: False,
    SenderStatus.UNKNOWN: False,
    SenderStatus.MIGRATED: True,
    SenderStatus.RATE_LIMITED: True,
    SenderStatus.FLAGGED: True,
    SenderStatus.UNVERIFIED: True,
}
"""Written down a second time on purpose: the table that users know, not the one in `domain/sender.py`."""


def a_template(status: str = "APPROVED") -> Template:
    return parse_template({**OFFER, "status": status})


@pytest.mark.parametrize("lifecycle", Lifecycle)
@pytest.mark.parametrize("status", SenderStatus)
def test_both_statuses_must_allow_sending(status: SenderStatus, lifecycle: Lifecycle) -> None:
    sender = a_sender(status=status, lifecycle=lifecycle)
    decision = decide(an_order(), sender, a_template(), [], NOW)
    if MAY_SEND[status] and lifecycle is Lifecycle.ONLINE:
        assert decision == Go()
    else:
        named = lifecycle if MAY_SEND[status] else status
        assert decision == Hold(HoldReason.SENDER_BLOCKED, None, str(named))


@given(
    stricter=st.frozensets(st.sampled_from(SenderStatus)),
    status=st.sampled_from(SenderStatus),
    lifecycle=st.sampled_from(Lifecycle),
)
def test_a_policy_only_ever_blocks_more(
    stricter: frozenset[SenderStatus], status: SenderStatus, lifecycle: Lifecycle
) -> None:
    sender = a_sender(status=status, lifecycle=lifecycle)
    usual = decide(an_order(), sender, a_template(), [], NOW)
    strict = decide(an_order(), sender, a_template(), [], NOW, stricter=stricter)
    if usual != Go() or status in stricter:
        assert isinstance(strict, Hold)
    else:
        assert strict == Go()


def test_no_setting_can_make_the_policy_looser() -> None:
    assert Settings.load(stricter_statuses=["FLAGGED"]).stricter_statuses == frozenset(
        {SenderStatus.FLAGGED, *(status for status, may in MAY_SEND.items() if not may)}
    )
    with pytest.raises(BadValue):
        Settings.load(stricter_statuses=["CONNECTED"])


@pytest.mark.parametrize(
    ("state", "decision"),
    [
        (CampaignState.DRAFT, Hold(HoldReason.NOT_STARTED)),
        (CampaignState.RUNNING, Go()),
        (CampaignState.PAUSED, Hold(HoldReason.PAUSED)),
        (CampaignState.COMPLETED, Go()),
        (CampaignState.CANCELLED, Drop(DropReason.CANCELLED)),
    ],
)
def test_the_owners_order_comes_first(state: CampaignState, decision: object) -> None:
    assert decide(an_order(state), a_sender(), a_template(), [], NOW) == decision


def test_after_the_deadline_people_are_given_up_even_if_the_sender_is_banned() -> None:
    over = an_order(deadline=NOW)
    banned = a_sender(status=SenderStatus.BANNED)
    assert decide(over, banned, a_template(), [], NOW) == Drop(DropReason.DEADLINE)
    assert decide(over, a_sender(), a_template(), [], NOW - timedelta(microseconds=1)) == Go()


def test_behind_the_fence_nothing_is_sent_and_nobody_given_up_but_by_order() -> None:
    moved = [PlacePart.DATABASE, PlacePart.TIMELINE]
    over = an_order(deadline=NOW - timedelta(days=1))
    for order in (an_order(), over):
        assert decide(order, a_sender(), a_template(), [], NOW, moved=moved) == Hold(
            HoldReason.FENCED, None, "another database and timeline than confirmed"
        )
    paused, cancelled = an_order(CampaignState.PAUSED), an_order(CampaignState.CANCELLED)
    assert decide(paused, a_sender(), a_template(), [], NOW, moved=moved) == Hold(HoldReason.PAUSED)
    assert decide(cancelled, a_sender(), a_template(), [], NOW, moved=moved) == Drop(DropReason.CANCELLED)


def test_a_guards_pause_says_why() -> None:
    order = replace(an_order(CampaignState.PAUSED), paused_because="late: since Friday")
    decision = decide(order, a_sender(), a_template(), [], NOW)
    assert decision == Hold(HoldReason.PAUSED, None, "late: since Friday")


HOURS = st.floats(0, 1_000).map(lambda hours: timedelta(hours=hours))


@given(waited=HOURS, patience=HOURS)
def test_who_was_due_for_longer_than_is_allowed_is_paused(waited: timedelta, patience: timedelta) -> None:
    decision = decide(an_order(), a_sender(), a_template(), [], NOW, due_at=NOW - waited, late_after=patience)
    assert isinstance(decision, Pause if waited > patience else Go)


def test_a_lateness_tells_since_when() -> None:
    decision = decide(
        an_order(), a_sender(), a_template(), [], NOW, due_at=NOW - timedelta(days=2), late_after=timedelta(1)
    )
    assert decision == Pause("late: due since 2026-08-30 12:00 UTC, nobody was there")


@pytest.mark.parametrize(
    ("order", "due_at"),
    [
        (an_order(), None),
        (an_order(deadline=NOW + timedelta(days=9)), NOW - timedelta(days=2)),
        (an_order(CampaignState.COMPLETED), NOW - timedelta(days=2)),
    ],
    ids=["an event came first", "its owner set a deadline", "it has ended"],
)
def test_what_is_not_late(order: Campaign, due_at: datetime | None) -> None:
    late_after = timedelta(hours=12)
    assert decide(order, a_sender(), a_template(), [], NOW, due_at=due_at, late_after=late_after) == Go()


def test_a_sender_that_is_switched_off_says_so() -> None:
    assert decide(an_order(), a_sender(enabled=False), a_template(), [], NOW) == Hold(
        HoldReason.SENDER_DISABLED
    )


@pytest.mark.parametrize("status", ["PAUSED", "DISABLED", "PENDING", "REJECTED", "whatever comes next"])
def test_a_template_that_meta_would_refuse_holds(status: str) -> None:
    decision = decide(an_order(), a_sender(), a_template(status), [], NOW)
    assert isinstance(decision, Hold)
    assert decision.reason is HoldReason.TEMPLATE_BLOCKED
    assert decision.detail


def test_a_missing_template_holds() -> None:
    decision = decide(an_order(), a_sender(), None, [], NOW)
    assert isinstance(decision, Hold)
    assert decision.reason is HoldReason.TEMPLATE_BLOCKED


def test_of_several_holds_the_one_that_ends_last_binds() -> None:
    over = Hold(HoldReason.SENDER_HELD, NOW)
    short = Hold(HoldReason.SENDER_HELD, NOW + timedelta(minutes=1))
    long = Hold(HoldReason.TEMPLATE_BLOCKED, NOW + timedelta(hours=1))
    endless = Hold(HoldReason.ACCOUNT_FAULT)
    ask = (an_order(), a_sender(), a_template())
    assert decide(*ask, [over], NOW) == Go()
    assert decide(*ask, [over, long, short], NOW) == long
    assert decide(*ask, [endless, long], NOW) == endless
