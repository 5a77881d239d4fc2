"""May this lane send now? One pure decision, used by the lane, by `explain` and by tests alike.

The gate knows everything that does not race: orders, statuses, templates, holds, deadlines.
What races (tier, rate, pair) is decided in Redis, by the limits, with the same vocabulary of reasons.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from dispatcher.domain.campaign import Campaign, CampaignState
from dispatcher.domain.fence import moved_text
from dispatcher.domain.hold import Hold, HoldReason
from dispatcher.domain.phone import is_us
from dispatcher.domain.sender import Sender, SenderStatus
from dispatcher.domain.template import Category, Template


class HeldScope(StrEnum):
    """What a stored hold holds."""

    SENDER = "sender"
    """Key: the sender's id."""
    TEMPLATE = "template"
    """Key: account/name/language."""
    ACCOUNT = "account"
    """Key: the WhatsApp Business Account's id."""
    PORTFOLIO = "portfolio"
    """Key: the business portfolio's id."""


class DropReason(StrEnum):
    """Why unsent people of a campaign are given up."""

    CANCELLED = "cancelled"
    """The campaign was cancelled."""
    DEADLINE = "deadline"
    """The campaign's deadline has passed."""


@dataclass(frozen=True, slots=True)
class Go:
    """Nothing but the limits stands in the way."""


@dataclass(frozen=True, slots=True)
class Drop:
    """It will never go; what is unsent ends in a named state."""

    reason: DropReason


@dataclass(frozen=True, slots=True)
class Pause:
    """It must not go on by itself: the campaign is paused, and an operator decides."""

    cause: str


Decision = Go | Hold | Drop | Pause


def decide(
    campaign: Campaign,
    sender: Sender,
    template: Template | None,
    holds: Sequence[Hold],
    now: datetime,
    *,
    stricter: frozenset[SenderStatus] = frozenset(),
    moved: Collection[str] = (),
    due_at: datetime | None = None,
    late_after: timedelta | None = None,
) -> Decision:
    """The first thing that binds, in the order in which people would want to be told.

    moved: what tells the ledger's place from the confirmed one. due_at: since when the lane's turn has been due.
    """
    match campaign.state:
        case CampaignState.CANCELLED:
            return Drop(DropReason.CANCELLED)
        case CampaignState.DRAFT:
            return Hold(HoldReason.NOT_STARTED)
        case CampaignState.PAUSED:
            return Hold(HoldReason.PAUSED, detail=campaign.paused_because)
        case CampaignState.RUNNING | CampaignState.COMPLETED:
            pass
    if moved:
        # why before the deadline: nobody knows yet who of the unsent people was sent elsewhere, so nobody is given up.
        return Hold(HoldReason.FENCED, detail=moved_text(moved))
    if campaign.deadline is not None and now >= campaign.deadline:
        return Drop(DropReason.DEADLINE)
    if (late := _lateness(campaign, now, due_at, late_after)) is not None:
        return Pause(late)
    if (held := sender_hold(sender, stricter)) is not None:
        return held
    if template is None:
        return Hold(HoldReason.TEMPLATE_BLOCKED, detail="the account has no such template")
    if not template.is_sendable:
        return Hold(HoldReason.TEMPLATE_BLOCKED, detail=str(template.status))
    in_force = [hold for hold in holds if hold.until is None or hold.until > now]
    return last_to_end(in_force) or Go()


def decide_reply(
    sender: Sender,
    holds: Sequence[Hold],
    now: datetime,
    *,
    stricter: frozenset[SenderStatus] = frozenset(),
    moved: Collection[str] = (),
) -> Go | Hold:
    """The same for a sender's replies. holds: those on the sender, its account and its portfolio.

    A suppression is nothing to a reply: it says who gets no campaigns, and this person has just written.
    """
    if moved:
        return Hold(HoldReason.FENCED, detail=moved_text(moved))
    if (held := sender_hold(sender, stricter)) is not None:
        return held
    return last_to_end([hold for hold in holds if hold.until is None or hold.until > now]) or Go()


def _lateness(
    campaign: Campaign, now: datetime, due_at: datetime | None, late_after: timedelta | None
) -> str | None:
    """Why a campaign comes too late to go on unasked: its turn was due long ago, and no worker was there to run it.

    A wait for a token, a status or an order is none: while workers run, such a turn is not due. A deadline is the
    owner's own word for what is too late, so a campaign that has one goes on until then.
    """
    if campaign.state is not CampaignState.RUNNING or campaign.deadline is not None:
        return None
    if due_at is None or late_after is None or now - due_at <= late_after:
        return None
    return f"late: due since {due_at:%Y-%m-%d %H:%M} UTC, nobody was there"


def undeliverable_by(template: Template, *, sends_us_marketing: bool) -> Callable[[str], str | None]:
    """For each person (E.164): why Meta would take this template and not deliver it; None where nothing is known against it.

    Source: Meta, "Per-user marketing template limits" (no marketing to +1 numbers with a US area code since 2025-04-01),
    read 2026-09.
    """
    if template.category is Category.MARKETING and not sends_us_marketing:
        return _no_marketing
    return _nothing_against


def _no_marketing(person: str) -> str | None:
    return "Meta delivers no marketing to numbers of the United States" if is_us(person) else None


def _nothing_against(_person: str) -> None:
    return None


def sender_hold(sender: Sender, stricter: frozenset[SenderStatus] = frozenset()) -> Hold | None:
    """Whether the sender by itself may send anything; also written into the limits, which check it in each grant."""
    if not sender.enabled:
        return Hold(HoldReason.SENDER_DISABLED)
    if (status := sender.blocked_by(stricter)) is not None:
        return Hold(HoldReason.SENDER_BLOCKED, detail=status)
    return None


def last_to_end(holds: Sequence[Hold]) -> Hold | None:
    """Of several holds the one that ends last, or never; it is the one that binds."""
    return max(holds, key=_ends, default=None)


def _ends(hold: Hold) -> tuple[bool, datetime]:
    """Order holds by their end; one without an end is the last of all."""
    return hold.until is None, hold.until or datetime.min
