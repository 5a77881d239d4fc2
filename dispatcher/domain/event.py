"""Events that go out: what others are told when something has become true, and who wants to hear it.

A subscription names an address and kinds. Whatever becomes true is written down for each subscription that wants it, in
the transaction that makes it true, and delivered in that order, at least once, under an id that never changes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NewType

from dispatcher.domain.errors import BadValue
from dispatcher.domain.gateway import RelayFacts

SubscriptionId = NewType("SubscriptionId", int)
EventId = NewType("EventId", int)
"""Given by the ledger; kept by a dead letter and by its replay."""

EVERYTHING = "*"
FAMILY = ".*"
"""`message.*` is every kind that begins with `message.`, also those that later versions add."""
KINDS_MOST = 100
"""So many kinds and families a subscription may name."""


class EventKind(StrEnum):
    """What has become true; the part before the dot is the kind's family."""

    MESSAGE_PENDING = "message.pending"
    """A message that had been accepted or unsure is to be posted again."""
    MESSAGE_ACCEPTED = "message.accepted"
    """Meta has taken a message of a campaign."""
    MESSAGE_REFUSED = "message.refused"
    """A message will not be sent; the reason says why."""
    MESSAGE_UNSURE = "message.unsure"
    """A message may have been handed over, and its answer was lost."""
    MESSAGE_SUPPRESSED = "message.suppressed"
    """A message was not sent, for its person is on the suppression list. People whom an import finds there are not told."""
    MESSAGE_CANCELLED = "message.cancelled"
    """A message was not sent, for its campaign was cancelled."""
    MESSAGE_EXPIRED = "message.expired"
    """A message was not sent before its campaign's deadline."""
    REPLY_PENDING = "reply.pending"
    """A reply that had been accepted or unsure is to be posted again."""
    REPLY_ACCEPTED = "reply.accepted"
    """Meta has taken a reply."""
    REPLY_REFUSED = "reply.refused"
    """A reply will not be sent; the reason says why."""
    REPLY_UNSURE = "reply.unsure"
    """A reply may have been handed over, and its answer was lost."""
    REPLY_CANCELLED = "reply.cancelled"
    """Somebody gave a reply up before it was posted."""
    RECEIPT_SENT = "receipt.sent"
    """Meta reports that a message or a reply is on its way."""
    RECEIPT_DELIVERED = "receipt.delivered"
    """Meta reports that it has arrived."""
    RECEIPT_READ = "receipt.read"
    """Meta reports that it was read."""
    RECEIPT_PLAYED = "receipt.played"
    """Meta reports that a voice message was listened to."""
    RECEIPT_FAILED = "receipt.failed"
    """Meta reports that it could not be delivered."""
    INBOUND_MESSAGE = "inbound.message"
    """A person has written."""
    CONVERSATION_STARTED = "conversation.started"
    """A person is known to talk with a sender for the first time."""
    CONVERSATION_MERGED = "conversation.merged"
    """Two conversations were found to be with the same person; one of them goes on."""
    CAMPAIGN_STARTED = "campaign.started"
    """A campaign runs. Single messages tell of their message alone, here and below."""
    CAMPAIGN_PAUSED = "campaign.paused"
    """An operator or a guard has paused a campaign."""
    CAMPAIGN_RESUMED = "campaign.resumed"
    """A campaign runs again; also a completed one, when Meta has failed to deliver and another attempt is worth it."""
    CAMPAIGN_COMPLETED = "campaign.completed"
    """Nobody of a campaign is waiting any more."""
    CAMPAIGN_CANCELLED = "campaign.cancelled"
    """A campaign was stopped for good."""
    SENDER_ADDED = "sender.added"
    """A sender was made known."""
    SENDER_CHANGED = "sender.changed"
    """What is known of a sender has changed, such as its status, its quality or its tier."""
    SUPPRESSION_OPTED_OUT = "suppression.opted_out"
    """A person does not want campaigns any more."""
    SUPPRESSION_OPTED_IN = "suppression.opted_in"
    """A person wants campaigns again."""
    SUPPRESSION_ADDED = "suppression.added"
    """Somebody, or a failure, has put a person on the suppression list."""
    SUPPRESSION_REMOVED = "suppression.removed"
    """Somebody has taken a person off the suppression list."""
    ACCOUNT_NEWS = "account.news"
    """Meta tells something of an account that concerns neither a message nor what a person wrote."""
    SUBSCRIPTION_PING = "subscription.ping"
    """Somebody wants to see whether events arrive; whatever a subscription chooses, it gets this one."""

    @property
    def family(self) -> str:
        """The part before the dot."""
        return self.value.partition(".")[0]


FAMILIES: Collection[str] = tuple(dict.fromkeys(kind.family for kind in EventKind))


class EventFormat(StrEnum):
    """How events are written for whoever receives them."""

    EVENTS = "events"
    """Many in one body, as docs/events.md describes it, signed after Standard Webhooks."""
    META = "meta"
    """One by one, as Meta's own webhooks tell them; docs/gateway.md says which."""

    @property
    def one_by_one(self) -> bool:
        """Whether each event is a request of its own."""
        return self is EventFormat.META


class Stopped(StrEnum):
    """Why a subscription gets nothing more."""

    BY_ORDER = "by_order"
    """Somebody has disabled it. What becomes true meanwhile is not kept for it."""
    GONE = "gone"
    """Its receiver has answered 410: it does not want any more events."""
    TOO_MANY = "too_many"
    """More events waited for it than are kept."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that has become true, on its way to one subscription."""

    id: EventId
    kind: EventKind
    at: datetime
    """When it became true, by the ledger's clock."""
    body: Mapping[str, Any]
    """What became true; its fields depend on the kind's family."""
    relay: RelayFacts | None = None
    """What Meta's form of it needs besides, found when it is delivered."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """Who wants to hear what, and where."""

    id: SubscriptionId
    url: str
    kinds: Sequence[str]
    """Kinds, families such as `message.*`, or `*`."""
    senders: Sequence[str] | None
    """Only what concerns one of these; None: whatever it concerns."""
    format: EventFormat
    is_enabled: bool
    stopped: Stopped | None
    """Why it is not enabled."""
    created_at: datetime
    changed_at: datetime
    former_secret_until: datetime | None
    """Until then, what is delivered is signed with the secret before this one, too."""


@dataclass(frozen=True, slots=True)
class NewSubscription:
    """A subscription to be stored. Its secret is sealed."""

    url: str
    kinds: Sequence[str]
    senders: Sequence[str] | None
    format: EventFormat
    secret_ref: str


@dataclass(frozen=True, slots=True)
class DeliveryState:
    """How delivery to one subscription stands."""

    pending: int
    """Events that wait; more than `COUNTED_MOST` are not counted."""
    oldest_at: datetime | None
    """When the first of them became true."""
    dead: int
    """Dead letters; counted as far as the others."""
    failing_since: datetime | None
    failures: int
    """Turns in a row that ended with a failure."""
    last_error: str | None
    next_at: datetime | None
    """When it is tried again; None: as soon as there is something."""
    delivered_at: datetime | None
    """When the receiver has last taken something."""


COUNTED_MOST = 10_000


@dataclass(frozen=True, slots=True)
class DeadEvent:
    """An event that nobody took within the time for which it is tried."""

    event: Event
    died_at: datetime
    error: str
    """What happened to the last attempt."""


def checked_kinds(kinds: Sequence[str]) -> Sequence[str]:
    """What a subscription chooses, without repetitions, in order. Raises BadValue that names what is unknown."""
    known = {*EventKind, *(family + FAMILY for family in FAMILIES), EVERYTHING}
    if unknown := sorted(set(kinds) - known):
        raise BadValue(
            f"there are no such kinds of events: {', '.join(unknown)}; nothing was changed",
            hint="docs/events.md lists them; message.* stands for all that begin so, * for all there are",
        )
    if not kinds:
        raise BadValue("a subscription without kinds hears nothing; nothing was changed")
    return sorted(set(kinds))
