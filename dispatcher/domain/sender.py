"""A sender and whether it may send.

Two vocabularies describe a sender: the platform's lifecycle (Online, Pending, …) and Meta's number status
(CONNECTED, BANNED, …). Both are kept, neither value is ever lost, and both must allow sending.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from dispatcher.domain.ids import PoolKey, SenderId
from dispatcher.domain.rate import Rate
from dispatcher.domain.reach import LimitScope, Tier


class SenderStatus(StrEnum):
    """Meta's view of the number. Source: Meta, "Phone numbers" (WhatsApp Business Management API), read 2026-09."""

    CONNECTED = "CONNECTED"
    """The number is active."""
    PENDING = "PENDING"
    """Registration or verification of the number is not finished."""
    DELETED = "DELETED"
    """The number was removed from its WhatsApp Business Account."""
    BANNED = "BANNED"
    """Meta deactivated the number for violations of its policies."""
    RESTRICTED = "RESTRICTED"
    """The number has reached its messaging limit, for example that of the last 24 hours."""
    DISCONNECTED = "DISCONNECTED"
    """The number is not connected to WhatsApp's network."""
    UNKNOWN = "UNKNOWN"
    """The number's state cannot be determined."""
    MIGRATED = "MIGRATED"
    """The number moved to another account or provider; Meta refuses what this account may no longer send."""
    RATE_LIMITED = "RATE_LIMITED"
    """Temporarily restricted after its quality stayed low: it sends slowly."""
    FLAGGED = "FLAGGED"
    """The quality rating has fallen to Low: it sends slowly."""
    UNVERIFIED = "UNVERIFIED"
    """The business has not completed Meta's verification; its low tier applies."""

    @classmethod
    def parse(cls, text: str) -> SenderStatus:
        """Read Meta's string; a value that Meta has added since counts as UNKNOWN, which blocks."""
        try:
            return cls(text.strip().upper())
        except ValueError:
            return cls.UNKNOWN


class Lifecycle(StrEnum):
    """The platform's own view of the sender."""

    ONLINE = "online"
    """Fully operational."""
    CONNECTING = "connecting"
    """Being initialised, which usually takes seconds."""
    PENDING = "pending"
    """Awaiting verification or approval."""
    OFFLINE = "offline"
    """Switched off by hand; it neither sends nor receives."""
    SUSPENDED = "suspended"
    """Suspended by Meta for violations of its policies."""
    FAILED = "failed"
    """The set-up failed; there is an error message to show."""


class Quality(StrEnum):
    """Meta's rating of the number over its last seven days."""

    HIGH = "high"
    """Green: few complaints."""
    MEDIUM = "medium"
    """Yellow: some complaints, or lower delivery."""
    LOW = "low"
    """Red: blocked or reported often; it sends slowly, and Meta may flag or restrict it."""
    UNRATED = "unrated"
    """Meta has not rated it yet."""

    @classmethod
    def parse(cls, text: str) -> Quality:
        """Read Meta's colours, the guides' words, or either form of "not rated yet" (NA, UNKNOWN)."""
        return _QUALITIES.get(text.strip().upper(), cls.UNRATED)


_QUALITIES = {
    "GREEN": Quality.HIGH,
    "HIGH": Quality.HIGH,
    "YELLOW": Quality.MEDIUM,
    "MEDIUM": Quality.MEDIUM,
    "RED": Quality.LOW,
    "LOW": Quality.LOW,
}

BLOCKED_STATUSES = frozenset(
    {
        SenderStatus.RESTRICTED,
        SenderStatus.PENDING,
        SenderStatus.DISCONNECTED,
        SenderStatus.UNKNOWN,
        SenderStatus.DELETED,
        SenderStatus.BANNED,
    }
)
"""These prevent starting and continuing a campaign. A policy may add to them, never take away."""

SLOWED_STATUSES = frozenset({SenderStatus.RATE_LIMITED, SenderStatus.FLAGGED})
"""Allowed, with a warning, at a part of the sender's rate."""

WARNED_STATUSES = SLOWED_STATUSES | {SenderStatus.MIGRATED, SenderStatus.UNVERIFIED}
"""Allowed, with a warning."""


@dataclass(frozen=True, slots=True)
class Sender:
    """A WhatsApp business number we send from."""

    id: SenderId
    name: str
    phone_number_id: str
    phone: str
    """Display number in E.164."""
    waba_id: str
    portfolio_id: str | None
    status: SenderStatus
    lifecycle: Lifecycle
    quality: Quality
    tier: Tier
    limit_scope: LimitScope
    rate: Rate
    enabled: bool
    token_ref: str
    """Where the access token is read from: `env:NAME`, `file:/path`, or `sealed:` and the encrypted token."""
    origin: str
    """How the number came here, for example "platform"; bringing one's own number is to come."""

    @property
    def pool(self) -> PoolKey:
        """The quota pool: all senders of a portfolio share one, so that either limit scope can be kept in it."""
        return PoolKey(f"p{self.portfolio_id}" if self.portfolio_id else f"s{self.id}")

    @property
    def token_place(self) -> str:
        """`token_ref` as people are shown it: of a sealed token not even what it is sealed to."""
        return "sealed" if self.token_ref.startswith("sealed:") else self.token_ref

    def blocked_by(self, stricter: frozenset[SenderStatus] = frozenset()) -> str | None:
        """The status that forbids sending, or None. `stricter`: statuses that the operator blocks in addition."""
        if self.status in BLOCKED_STATUSES or self.status in stricter:
            return str(self.status)
        if self.lifecycle is not Lifecycle.ONLINE:
            return str(self.lifecycle)
        return None
