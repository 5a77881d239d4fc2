"""Who may do what over HTTP: keys, their scopes, and why a call is refused.

A key is `dk_`, a public prefix by which it is found, and a secret of 256 random bits, of which only the digest is kept.
Nothing slower than SHA-256 is needed: there is nothing to guess in so many random bits.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NewType

from dispatcher.domain.rate import Rate

KeyId = NewType("KeyId", int)

DEFAULT_RATE = Rate.parse("100/s")
"""Calls per second of a key that was made without saying."""
BURST = timedelta(seconds=2)
"""So much of its rate a key may use at once after a quiet moment."""

_KEY = re.compile(r"dk_([a-z0-9]{12})_([A-Za-z0-9_-]{43})")


class Scope(StrEnum):
    """What a key opens. None contains another one."""

    READ = "read"
    """Look at everything but keys and the audit log."""
    CAMPAIGNS_WRITE = "campaigns:write"
    """Create, fill, change, start, pause, resume and cancel campaigns."""
    MESSAGES_WRITE = "messages:write"
    """Send single template messages, and cancel them."""
    REPLIES_WRITE = "replies:write"
    """Answer people who have written, give replies up, mark what people wrote as read."""
    SENDERS_ADMIN = "senders:admin"
    """Make senders known, change them, lift their holds, read templates anew."""
    SUPPRESSIONS_WRITE = "suppressions:write"
    """Put people on the suppression list, and take them off."""
    OPERATIONS_WRITE = "operations:write"
    """Settle and release unsure messages; replay and discard what is in quarantine."""
    EVENTS_ADMIN = "events:admin"
    """Make, look at, change and remove subscriptions, which hear of whatever they choose; replay and purge dead letters."""
    KEYS_ADMIN = "keys:admin"
    """List, create and revoke keys, and read the audit log. A key can only give what it has itself."""


class Denial(StrEnum):
    """Why a call was refused before anything was looked at."""

    NO_KEY = "no_key"
    """It came without a key, or with something that is none."""
    UNKNOWN_KEY = "unknown_key"
    """No key of ours has this prefix and this secret."""
    REVOKED_KEY = "revoked_key"
    """Somebody has revoked the key."""
    EXPIRED_KEY = "expired_key"
    """The key's time is over."""
    MISSING_SCOPE = "missing_scope"
    """The key is good, but not for this."""
    TOO_MANY_CALLS = "too_many_calls"
    """The key is used faster than its rate allows."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it is kept. The secret is not."""

    id: KeyId
    name: str
    prefix: str
    scopes: frozenset[Scope]
    rate: Rate
    """Calls per second."""
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    """To the minute."""

    @property
    def burst(self) -> int:
        """Calls that may come at once after a quiet moment."""
        return max(1, round(self.rate.per_s * BURST.total_seconds()))

    def unusable(self, now: datetime) -> Denial | None:
        """Why it opens nothing any more, or None."""
        if self.revoked_at is not None:
            return Denial.REVOKED_KEY
        if self.expires_at is not None and self.expires_at <= now:
            return Denial.EXPIRED_KEY
        return None


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key to be stored."""

    name: str
    prefix: str
    digest: bytes
    scopes: Collection[Scope]
    rate: Rate
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Denied:
    """A refusal; `retry_after` where waiting helps."""

    why: Denial
    key: ApiKey | None
    """Whose call it was, where that is certain."""
    retry_after: timedelta | None = None


def written(prefix: str, secret: str) -> str:
    """The key as its owner keeps it."""
    return f"dk_{prefix}_{secret}"


def read(presented: str) -> tuple[str, str] | None:
    """Prefix and secret of what somebody presents; None where it does not look like a key."""
    found = _KEY.fullmatch(presented)
    return (found[1], found[2]) if found is not None else None


def digest(secret: str) -> bytes:
    """What is kept of a secret."""
    return hashlib.sha256(secret.encode()).digest()


def is_right(secret: str, kept: bytes | None) -> bool:
    """Whether this is the secret; takes the same time whether it is, is not, or there is none to compare with."""
    return hmac.compare_digest(digest(secret), kept if kept is not None else bytes(32)) and kept is not None
