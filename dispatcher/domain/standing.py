"""Templates that are ordered one by one: what is asked for, and what must be known to take it.

A campaign of its own for each would cost a lane and a turn each. So messages of one sender, one template and one form share
a *standing campaign*, which goes on when it had come to its end; everything that is promised of campaigns holds of it. A
person is in a campaign once at most: who is written to again opens the next one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from dispatcher.domain.campaign import UnsurePolicy
from dispatcher.domain.content import Column, SlotMapping
from dispatcher.domain.gateway import Objection, Refused
from dispatcher.domain.hold import Hold, HoldReason
from dispatcher.domain.phone import Phone
from dispatcher.domain.sender import Lifecycle, Sender, SenderStatus
from dispatcher.domain.template import Category, Template, TemplateStatus

TAKES_FOR = timedelta(days=1)
"""A standing campaign takes messages for so long; so reports of each are still looked for among those that are young."""
URGENT = 100
"""The priority of utility and authentication templates, as of single messages; marketing has that of campaigns."""


@dataclass(frozen=True, slots=True)
class TemplateOrder:
    """One template to one person, as Meta's API has it."""

    to: Phone | None
    user_id: str | None
    """Where no number was given."""
    template: str
    language: str
    components: Sequence[Mapping[str, Any]]
    """As Meta takes them."""
    callback_data: str | None = None
    """The client's own, which comes back with each report."""
    context_wamid: str | None = None
    """The message that it answers."""


@dataclass(frozen=True, slots=True)
class TemplateFacts:
    """All that the ledger knows about an order before it is taken."""

    template: Template | None
    holds: Sequence[Hold]
    """In force on sender, account, portfolio and template."""
    moved: Sequence[str]
    """What tells the ledger's place from the confirmed one."""
    suppressed: str | None
    """Why the person is on the suppression list."""
    number: str | None
    """Of a person who was named by a user id, where it is known; E.164."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits for a sender: standing campaigns' messages, and replies."""

    messages: int
    until: datetime | None
    """When the first of its lanes may go on, where all of them are held."""


@dataclass(frozen=True, slots=True)
class StandingPlan:
    """The form that messages of one standing campaign share."""

    sender: Sender
    template: str
    language: str
    columns: Sequence[str]
    """The slots that are filled, in the template's order; each is a column of its own name."""
    priority: int
    unsure_policy: UnsurePolicy = UnsurePolicy.GIVE_UP

    @property
    def mapping(self) -> SlotMapping:
        """Each slot from its column."""
        return SlotMapping(tuple((slot, Column(slot)) for slot in self.columns))


def priority_of(template: Template) -> int:
    """Whether its messages go before campaigns, or among them."""
    return 0 if template.category is Category.MARKETING else URGENT


def sender_objection(sender: Sender, stricter: frozenset[SenderStatus] = frozenset()) -> Refused | None:
    """Why a sender by itself takes nothing; the same that `gate.sender_hold` holds."""
    if not sender.enabled:
        return Refused(Objection.SENDER_DISABLED, f"sender {sender.name} is switched off by an operator")
    status = sender.blocked_by(stricter)
    if status is None:
        return None
    return Refused(
        _STATUSES.get(status, Objection.SENDER_RESTRICTED), f"sender {sender.name} may not send: {status}"
    )


_STATUSES: Mapping[str, Objection] = {
    SenderStatus.BANNED: Objection.SENDER_LOCKED,
    SenderStatus.RESTRICTED: Objection.SENDER_RESTRICTED,
    SenderStatus.PENDING: Objection.SENDER_NOT_REGISTERED,
    SenderStatus.DISCONNECTED: Objection.SENDER_NOT_REGISTERED,
    SenderStatus.UNKNOWN: Objection.SENDER_UNKNOWN,
    SenderStatus.DELETED: Objection.SENDER_DELETED,
    Lifecycle.SUSPENDED: Objection.SENDER_LOCKED,
    Lifecycle.CONNECTING: Objection.SENDER_NOT_REGISTERED,
    Lifecycle.PENDING: Objection.SENDER_NOT_REGISTERED,
    Lifecycle.OFFLINE: Objection.SENDER_NOT_REGISTERED,
    Lifecycle.FAILED: Objection.SENDER_NOT_REGISTERED,
}


def template_objection(order: TemplateOrder, template: Template | None) -> Refused | None:
    """Why this template is not sent."""
    named = f"template {order.template!r} in {order.language!r}"
    if template is None:
        hint = "the account has none of this name, or it was made since `dispatch templates sync`"
        return Refused(Objection.UNKNOWN_TEMPLATE, f"{named}: {hint}")
    match template.status:
        case TemplateStatus.PAUSED:
            return Refused(Objection.TEMPLATE_PAUSED, f"{named} is paused")
        case TemplateStatus.DISABLED:
            return Refused(Objection.TEMPLATE_DISABLED, f"{named} is disabled")
        case status if not status.is_sendable:
            return Refused(Objection.UNKNOWN_TEMPLATE, f"{named} is {status}")
    if template.unsupported:
        return Refused(
            Objection.WRONG_FORMAT,
            f"{named} has parts that cannot be sent: {'; '.join(template.unsupported)}",
        )
    return None


def hold_objection(holds: Sequence[Hold], moved: Sequence[str]) -> Refused | None:
    """Why nothing is taken while something holds that time alone does not end. What time ends, messages wait for."""
    if moved:
        return Refused(
            Objection.FENCED, "the ledger was moved or restored: an operator has to confirm its place"
        )
    for hold in holds:
        if hold.until is None and (why := _ENDLESS.get(hold.reason)) is not None:
            return Refused(why, hold.detail or str(hold.reason))
    return None


_ENDLESS: Mapping[HoldReason, Objection] = {
    HoldReason.ACCOUNT_FAULT: Objection.ACCOUNT_FAULT,
    HoldReason.TEMPLATE_BLOCKED: Objection.TEMPLATE_HELD,
    HoldReason.SENDER_HELD: Objection.SENDER_RESTRICTED,
    HoldReason.SENDER_BLOCKED: Objection.SENDER_RESTRICTED,
}
