"""May a sender's replies go now? What binds a campaign's sender binds them, and nothing of campaigns does."""

from __future__ import annotations

from datetime import timedelta

from support.builders import NOON, a_sender

from dispatcher.domain.gate import Go, decide_reply
from dispatcher.domain.hold import Hold, HoldReason
from dispatcher.domain.sender import SenderStatus

LATER = NOON + timedelta(hours=1)


def test_a_healthy_sender_may_reply() -> None:
    assert decide_reply(a_sender(), [], NOON) == Go()


def test_a_blocked_or_disabled_sender_may_not() -> None:
    assert decide_reply(a_sender(status=SenderStatus.BANNED), [], NOON) == Hold(
        HoldReason.SENDER_BLOCKED, detail="BANNED"
    )
    assert decide_reply(a_sender(enabled=False), [], NOON) == Hold(HoldReason.SENDER_DISABLED)
    stricter = frozenset({SenderStatus.FLAGGED})
    flagged = decide_reply(a_sender(status=SenderStatus.FLAGGED), [], NOON, stricter=stricter)
    assert flagged == Hold(HoldReason.SENDER_BLOCKED, detail="FLAGGED")


def test_of_several_holds_the_last_to_end_binds_and_one_that_is_over_does_not() -> None:
    short, long = Hold(HoldReason.SENDER_HELD, LATER), Hold(HoldReason.ACCOUNT_FAULT)
    assert decide_reply(a_sender(), [short, long], NOON) == long
    assert decide_reply(a_sender(), [short], NOON) == short
    assert decide_reply(a_sender(), [short], LATER) == Go()


def test_a_ledger_that_was_moved_says_nothing_to_anybody() -> None:
    decision = decide_reply(a_sender(enabled=False), [], NOON, moved=["timeline"])
    assert isinstance(decision, Hold)
    assert decision.reason is HoldReason.FENCED
