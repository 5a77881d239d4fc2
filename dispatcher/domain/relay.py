"""Events as clients of Meta's own API know them: which of ours have a form of Meta's, and what that needs to be written.

Such a client hears of a message what Meta would tell: sent, delivered, read, played, failed. What we alone know has one form
there: a message that will not be sent has failed. What is tried again has not failed yet, and is not told.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from dispatcher.domain.errors import BadValue
from dispatcher.domain.event import Event, EventKind
from dispatcher.domain.gateway import RelayFacts
from dispatcher.domain.message import MessageState

FAILED_KINDS: Collection[EventKind] = (
    EventKind.MESSAGE_REFUSED,
    EventKind.MESSAGE_SUPPRESSED,
    EventKind.MESSAGE_CANCELLED,
    EventKind.MESSAGE_EXPIRED,
    EventKind.REPLY_REFUSED,
    EventKind.REPLY_CANCELLED,
)
"""What is told as `failed` though Meta has never said so."""
RECEIPT_KINDS: Collection[EventKind] = (
    EventKind.RECEIPT_SENT,
    EventKind.RECEIPT_DELIVERED,
    EventKind.RECEIPT_READ,
    EventKind.RECEIPT_PLAYED,
    EventKind.RECEIPT_FAILED,
)
META_KINDS: Collection[EventKind] = (
    *RECEIPT_KINDS,
    *FAILED_KINDS,
    EventKind.INBOUND_MESSAGE,
    EventKind.ACCOUNT_NEWS,
)
"""All that Meta has a form for."""


@dataclass(frozen=True, slots=True)
class RelayTo:
    """How a client of Meta's API knows that it is Meta who calls: both as it would tell them to Meta."""

    app_secret: str
    """Signs each request."""
    verify_token: str
    """For the handshake; not kept."""


def checked_meta_kinds(kinds: Sequence[str]) -> Sequence[str]:
    """What a subscription in Meta's form chooses; nothing stands for all that has such a form. Raises BadValue."""
    if strangers := sorted(set(kinds) - set(META_KINDS)):
        raise BadValue(
            f"Meta has no form for {', '.join(strangers)}; nothing was changed",
            hint=f"there are {', '.join(sorted(META_KINDS))}; leave the kinds out for all of them",
        )
    return sorted(set(kinds) or set(META_KINDS))


def is_told(event: Event, facts: RelayFacts | None) -> bool:
    """Whether a client of Meta's API hears of this; facts None: nobody knows any more whom it concerns."""
    if facts is None or event.kind not in META_KINDS:
        return False
    if event.kind is not EventKind.RECEIPT_FAILED:
        return True
    is_tried_again = facts.state in (MessageState.PENDING, MessageState.CLAIMED)
    return not is_tried_again and (facts.attempt or 0) <= event.body["attempt"]
