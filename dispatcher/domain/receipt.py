"""Receipts: what Meta reports of a message after it has taken it.

Receipts come late, twice and out of order. So a receipt is a set of moments, one per thing that can be reported, and
two reports of one attempt are merged moment by moment: in whatever order, and however often, the result is the same.
What they add up to is read off the moments: the highest rank that was reached, and `failed` only where nothing says
that the message arrived. Whether another attempt follows is left to the engine.

Source: Meta, "Status messages webhook reference" (the statuses; a message read in an open chat is reported as read
alone; on several devices a message may both fail and be delivered), read 2026-09.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple, Self

from dispatcher.domain.ids import CampaignId, MessageId, PersonKey
from dispatcher.domain.sender import Sender


class ReceiptState(StrEnum):
    """What is known of an attempt's way to the person; each member's docstring is the text that people are shown."""

    SENT = "sent"
    """Meta has sent it on."""
    DELIVERED = "delivered"
    """It has arrived on a device."""
    READ = "read"
    """The person has seen it; so it had arrived, even where that was not reported."""
    PLAYED = "played"
    """The person has listened to the voice message."""
    FAILED = "failed"
    """Meta could not deliver it, and will not try again."""

    @property
    def is_good(self) -> bool:
        """Whether Meta has the message and has not given it up."""
        return self is not ReceiptState.FAILED


class Receipt(NamedTuple):
    """All that was reported of one attempt so far. Every moment is Meta's, aware UTC; None: not reported.

    A tuple, for there are several per message.
    """

    sent_at: datetime | None = None
    delivered_at: datetime | None = None
    read_at: datetime | None = None
    played_at: datetime | None = None
    failed_at: datetime | None = None
    code: int | None = None
    """Meta's error code; with `failed_at`."""
    detail: str | None = None
    """What Meta says about the failure."""
    price_category: str | None = None
    """What Meta charges it as, such as "marketing" or "utility"."""
    is_billable: bool | None = None

    def __or__(self, other: Self) -> Self:
        """Both reports together: the earliest of each moment, the smaller of what contradicts. Commutative, idempotent."""
        return type(self)._make(map(_least, self, other))

    @property
    def state(self) -> ReceiptState | None:
        """What it adds up to; None when nothing was reported. The ledger computes the same in SQL."""
        for moment, state in (
            (self.played_at, ReceiptState.PLAYED),
            (self.read_at, ReceiptState.READ),
            (self.delivered_at, ReceiptState.DELIVERED),
            (self.failed_at, ReceiptState.FAILED),
            (self.sent_at, ReceiptState.SENT),
        ):
            if moment is not None:
                return state
        return None


def reported(
    state: ReceiptState,
    at: datetime,
    *,
    code: int | None = None,
    detail: str | None = None,
    price_category: str | None = None,
    is_billable: bool | None = None,
) -> Receipt:
    """One report as a receipt."""
    moment: dict[str, Any] = {_MOMENTS[state]: at}
    return Receipt(**moment, code=code, detail=detail, price_category=price_category, is_billable=is_billable)


_MOMENTS = {state: f"{state}_at" for state in ReceiptState}
"""State → the field of its moment. Built once: formatting an enum costs more than all the rest of `reported`."""


def _least(one: Any, other: Any) -> Any:
    if one is None or other is None:
        return one if other is None else other
    return min(one, other)


class AttemptRef(NamedTuple):
    """Which post is meant."""

    campaign_id: CampaignId
    message_id: MessageId
    attempt: int


@dataclass(frozen=True, slots=True)
class Booked:
    """What is left to look at after reports were merged into their attempts."""

    unknown: frozenset[AttemptRef]
    """There is no such message."""
    unsettled: frozenset[AttemptRef]
    """Attempts of messages that are not plainly accepted."""
    failed: frozenset[AttemptRef]
    """Attempts with a failure among what was reported now."""
    archived: frozenset[AttemptRef] = frozenset()
    """Their messages were dropped as old; nothing is left to do."""


@dataclass(frozen=True, slots=True)
class FailedAttempt:
    """A post that Meta had taken and could not deliver."""

    ref: AttemptRef
    code: int | None
    detail: str
    sender: Sender
    template: str
    language: str
    person: str
    """E.164 with the plus sign."""
    key: PersonKey
    failed_before: int
    """How many earlier attempts ended with the same code."""
    may_reopen: bool
    """Whether nothing newer is known of the message, and its campaign is still wanted."""
    deadline: datetime | None
    """The campaign's."""
