"""May this lane send now? One pure decision, used by the lane, by `explain` and by tests alike.

The gate knows everything that does not race: orders, statuses, templates, holds, deadlines.
What races (tier, rate, pair) is decided in Redis, by the limits, with the same vocabulary of reasons.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from dispatcher.domain.campaign import Campaign, CampaignState
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


Decision = Go | Hold | Drop


def decide(
    campaign: Campaign,
    sender: Sender,
    template: Template | None,
    holds: Sequence[Hold],
    now: datetime,
    *,
    stricter: frozenset[SenderStatus] = frozenset(),
) -> Decision:
    """The first thing that binds, in the order in which people would want to be told."""
    match campaign.state:
        case CampaignState.CANCELLED:
            return Drop(DropReason.CANCELLED)
        case CampaignState.DRAFT:
            return Hold(HoldReason.NOT_STARTED)
        case CampaignState.PAUSED:
            return Hold(HoldReason.PAUSED)
        case CampaignState.RUNNING | CampaignState.COMPLETED:
            pass
    if campaign.deadline is not None and now >= campaign.deadline:
        return Drop(DropReason.DEADLINE)
    if (held := sender_hold(sender, stricter)) is not None:
        return held
    if template is None:
        return Hold(HoldReason.TEMPLATE_BLOCKED, detail="the account has no such template")
    if not template.is_sendable:
        return Hold(HoldReason.TEMPLATE_BLOCKED, detail=str(template.status))
    in_force = [hold for hold in holds if hold.until is None or hold.until > now]
    return last_to_end(in_force) or Go()


def undeliverable(person: str, template: Template, *, sends_us_marketing: bool) -> str | None:
    """Why Meta would take a message to this person and not deliver it; None where nothing is known against it.

    person: E.164. Source: Meta, "Per-user marketing template limits" (no marketing to +1 numbers with a US area code
    since 2025-04-01), read 2026-09.
    """
    if template.category is Category.MARKETING and not sends_us_marketing and is_us(person):
        return "Meta delivers no marketing to numbers of the United States"
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
