"""The audit log: who ordered what, what it was before, and what it is after.

What the house does by itself (sending, receipts, guards, policies) is not in it; the ledger's other tables tell that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any


class ActorKind(StrEnum):
    """Through which door somebody came."""

    KEY = "key"
    """The HTTP API, with a key."""
    COMMAND = "command"
    """The command line."""
    NOBODY = "nobody"
    """The HTTP API, without a key that we know."""


class Order(StrEnum):
    """What can be ordered. Entries of refused calls name the call instead."""

    CAMPAIGN_CREATED = "campaign_created"
    """A campaign was made as a draft."""
    CAMPAIGN_DISCARDED = "campaign_discarded"
    """A draft was forgotten, because its audience could not be read."""
    CAMPAIGN_MOVED = "campaign_moved"
    """A campaign was started, paused, resumed or cancelled."""
    CAMPAIGN_CHANGED = "campaign_changed"
    """What was ordered of a campaign was changed."""
    CAMPAIGNS_ARCHIVED = "campaigns_archived"
    """The people of old campaigns were dropped."""
    PEOPLE_ADDED = "people_added"
    """People were added to a draft."""
    SENDER_ADDED = "sender_added"
    """A sender was made known."""
    SENDER_CHANGED = "sender_changed"
    """A sender was changed."""
    HOLDS_LIFTED = "holds_lifted"
    """What held a sender was declared mended."""
    TEMPLATES_READ = "templates_read"
    """An account's templates were read anew."""
    TOKENS_RESEALED = "tokens_resealed"
    """Sealed tokens, or subscriptions' secrets, were sealed with the present key."""
    PEOPLE_SUPPRESSED = "people_suppressed"
    """People were put on the suppression list."""
    PEOPLE_UNSUPPRESSED = "people_unsuppressed"
    """People were taken off the suppression list."""
    REPLY_QUEUED = "reply_queued"
    """A reply was ordered. What it says is not in the log."""
    MESSAGE_QUEUED = "message_queued"
    """A template was ordered through the gateway. Its parameters are not in the log."""
    REPLY_CANCELLED = "reply_cancelled"
    """A reply that still waited was given up."""
    UNSURE_SETTLED = "unsure_settled"
    """Unsure messages or replies were said to be accepted or refused."""
    UNSURE_RELEASED = "unsure_released"
    """Unsure messages or replies were let go again."""
    QUARANTINE_REPLAYED = "quarantine_replayed"
    """Webhooks that had been put aside were taken in once more."""
    QUARANTINE_DISCARDED = "quarantine_discarded"
    """Webhooks that had been put aside were forgotten."""
    SUBSCRIPTION_ADDED = "subscription_added"
    """Somebody is to be told of events."""
    SUBSCRIPTION_CHANGED = "subscription_changed"
    """A subscription was changed, enabled or disabled."""
    SUBSCRIPTION_SECRET_ROTATED = "subscription_secret_rotated"  # noqa: S105 - a name, no secret
    """A subscription's events are signed with another secret."""
    SUBSCRIPTION_PINGED = "subscription_pinged"
    """A subscription was sent an event to see whether it arrives."""
    SUBSCRIPTION_REMOVED = "subscription_removed"
    """A subscription was forgotten, with all that waited for it."""
    EVENTS_REPLAYED = "events_replayed"
    """Dead letters were put back to be delivered."""
    EVENTS_PURGED = "events_purged"
    """Dead letters were forgotten."""
    FENCE_CONFIRMED = "fence_confirmed"
    """The ledger's place was confirmed."""
    KEY_CREATED = "key_created"
    """A key was made."""
    KEY_REVOKED = "key_revoked"
    """A key was revoked."""


class AuditOutcome(StrEnum):
    """What came of it."""

    DONE = "done"
    """It was carried out; the entry is in the same transaction."""
    REFUSED = "refused"
    """The call was not let in; calls of one kind within an hour share an entry."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts."""

    kind: ActorKind
    name: str
    """A key's prefix and name, the operating system's user, or nothing."""


NOBODY = Actor(ActorKind.NOBODY, "")


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One line of the log."""

    id: int
    at: datetime
    actor: Actor
    outcome: AuditOutcome
    action: str
    """An `Order`; of a refused call its method and path."""
    subject: str
    """What it was done to, such as "campaign 12"; of a refused call why."""
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    times: int
    """How many calls share the entry; 1 for what was done."""
    last_at: datetime
    """Of the latest of them."""
