"""Why something waits, until when, and what ends the wait.

One closed vocabulary for messages, lanes, campaigns, API, pages and metrics.
Nothing in the ledger may wait without one of these reasons.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class HoldReason(StrEnum):
    """Each member's docstring is the text that people are shown."""

    NOT_STARTED = "not_started"
    """The campaign has not been started."""
    PAUSED = "paused"
    """The campaign is paused: by an operator, or by a guard that says why."""
    FENCED = "fenced"
    """The ledger is a copy, or was restored or moved: nothing is sent until an operator confirms its new place."""
    QUEUED = "queued"
    """In line: its turn comes as workers get to it."""
    IN_ORDER = "in_order"
    """An earlier reply of the conversation has not ended yet; replies go in order."""
    SENDER_BLOCKED = "sender_blocked"
    """The sender's status forbids sending; it goes on by itself when the status allows it."""
    SENDER_DISABLED = "sender_disabled"
    """An operator switched the sender off."""
    SENDER_HELD = "sender_held"
    """Meta told this sender to stop for a while."""
    TEMPLATE_BLOCKED = "template_blocked"
    """Meta does not accept the template at present."""
    ACCOUNT_FAULT = "account_fault"
    """The account's token, permission or payment was refused."""
    TIER_EXHAUSTED = "tier_exhausted"
    """As many people as the tier allows have been reached within the last 24 hours."""
    RATE = "rate"
    """The sender's messages per second are used up."""
    FAIR_SHARE = "fair_share"
    """Another campaign on the same sender is behind or more urgent, and goes first."""
    PAIR = "pair"
    """This person got too many messages from this sender within a short time."""
    PERSON_COOLDOWN = "person_cooldown"
    """Meta does not deliver marketing to this person for now."""
    RETRY_LATER = "retry_later"
    """Meta asked for patience; the message is tried again."""
    LIMITS_UNAVAILABLE = "limits_unavailable"
    """The limits in Redis cannot be asked, so nothing is granted."""
    CHANNEL_UNAVAILABLE = "channel_unavailable"
    """Meta cannot be reached; nothing was handed over."""
    WORKER_LOST = "worker_lost"
    """The worker of this lane died; its lease has to run out first."""


LIFTED_BY: Mapping[HoldReason, str] = {
    HoldReason.NOT_STARTED: "start the campaign",
    HoldReason.PAUSED: "resume the campaign",
    HoldReason.FENCED: "`dispatch fence show`, then `dispatch fence confirm` where this is the ledger that shall send",
    HoldReason.QUEUED: "workers getting to it; if nothing moves, start workers",
    HoldReason.IN_ORDER: "the end of the earlier reply; where that is unsure, a report of Meta or `dispatch unsure settle`",
    HoldReason.SENDER_BLOCKED: "a better status of the sender, or another sender",
    HoldReason.SENDER_DISABLED: "switch the sender on",
    HoldReason.SENDER_HELD: "time; see the sender's page for the code Meta gave",
    HoldReason.TEMPLATE_BLOCKED: "approval of the template, then `dispatch templates sync`",
    HoldReason.ACCOUNT_FAULT: "a valid token or payment method, then `dispatch senders set NAME --lift-holds`",
    HoldReason.TIER_EXHAUSTED: "time: each token comes back 24 hours after it was taken; or a higher tier",
    HoldReason.RATE: "time, or a higher rate",
    HoldReason.FAIR_SHARE: "time",
    HoldReason.PAIR: "time",
    HoldReason.PERSON_COOLDOWN: "time",
    HoldReason.RETRY_LATER: "time",
    HoldReason.LIMITS_UNAVAILABLE: "Redis coming back; it goes on by itself",
    HoldReason.CHANNEL_UNAVAILABLE: "Meta coming back; it goes on by itself",
    HoldReason.WORKER_LOST: "time: the lease runs out within seconds",
}
"""What ends each hold, in words for people."""


ENDED_BY_ORDER = frozenset({HoldReason.NOT_STARTED, HoldReason.PAUSED, HoldReason.FENCED})
"""Nothing but an order ends these, not even a deadline; the order makes the lanes look again."""


@dataclass(frozen=True, slots=True)
class Hold:
    """A wait with its cause. `until` is None only where an event or an operator ends it, never time."""

    reason: HoldReason
    until: datetime | None = None
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.reason} ({self.detail})" if self.detail else str(self.reason)
