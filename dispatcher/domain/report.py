"""What people are shown of campaigns and messages: facts gathered at one instant, ready to print.

Plain data; how it is worded belongs to the faces, how it is found out to ledger and engine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from dispatcher.domain.campaign import Campaign, Counts, UnsurePolicy
from dispatcher.domain.hold import Hold
from dispatcher.domain.ids import CampaignId, MessageId
from dispatcher.domain.message import MessageState
from dispatcher.domain.receipt import AttemptRef, Receipt, ReceiptState
from dispatcher.domain.sender import Sender


@dataclass(frozen=True, slots=True)
class LaneView:
    """One sender's part of a campaign."""

    sender: Sender
    is_running: bool
    next_at: datetime | None
    hold: Hold | None
    """Why the last turn ended early, if it did."""
    claimed: int
    accepted: int
    refused: int
    unsure: int
    moved: Sequence[str] = ()
    """What tells the ledger's place from the confirmed one; then this is why the lane waits, whatever it met before."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """People of a campaign who wait for the same thing."""

    people: int
    hold: Hold


@dataclass(frozen=True, slots=True)
class Ended:
    """People whose message ended, or is unsure, for the same cause."""

    state: MessageState
    reason: str
    code: int | None
    people: int


@dataclass(frozen=True, slots=True)
class CampaignView:
    """A campaign as it stands."""

    campaign: Campaign
    counts: Counts
    lanes: Sequence[LaneView]
    waiting: Sequence[Waiting]
    """Sums up to `counts.pending`."""


@dataclass(frozen=True, slots=True)
class Reported:
    """Accepted messages of which Meta has reported the same."""

    state: ReceiptState | None
    """None: nothing was reported yet."""
    code: int | None
    """Why it failed."""
    people: int


@dataclass(frozen=True, slots=True)
class CampaignReport:
    """A campaign's result, or its result so far."""

    view: CampaignView
    ended: Sequence[Ended]
    reported: Sequence[Reported]
    """Sums up to the accepted."""
    rejected_rows: Mapping[str, int]
    """Rows of the audience file that never became a message, by reason; they are not part of the audience."""
    first_posted_at: datetime | None
    last_posted_at: datetime | None

    @property
    def posting_time(self) -> timedelta | None:
        """From the first settled post to the last; None before there were two."""
        if self.first_posted_at is None or self.last_posted_at is None:
            return None
        return self.last_posted_at - self.first_posted_at


@dataclass(frozen=True, slots=True)
class AttemptView:
    """One answered attempt of a message."""

    attempt: int
    sender: str
    at: datetime | None
    code: int | None
    reason: str | None
    detail: str | None
    wamid: str | None


@dataclass(frozen=True, slots=True)
class ReceiptView:
    """What Meta has reported of one attempt."""

    attempt: int
    wamid: str
    state: ReceiptState
    receipt: Receipt


@dataclass(frozen=True, slots=True)
class MessageView:
    """A message with its history."""

    campaign_id: CampaignId
    id: MessageId
    person: str
    state: MessageState
    reason: str | None
    detail: str | None
    code: int | None
    wamid: str | None
    sender: str | None
    attempt: int
    not_before: datetime | None
    posted_at: datetime | None
    line: int | None
    values: Sequence[str]
    attempts: Sequence[AttemptView]
    """Earlier attempts; the last one stands in the fields above."""
    receipts: Sequence[ReceiptView] = ()
    """Of all attempts, the earliest first."""


@dataclass(frozen=True, slots=True)
class UnsureView:
    """A message of which nobody knows whether it was sent."""

    ref: AttemptRef
    campaign: str
    person: str
    sender: str | None
    posted_at: datetime | None
    reason: str
    code: int | None
    detail: str
    policy: UnsurePolicy
    decides_at: datetime | None
    """When the policy decides; None where an operator does."""


@dataclass(frozen=True, slots=True)
class Suppressed:
    """A person on the suppression list."""

    person: str
    reason: str
    source: str
    at: datetime
    until: datetime | None
    """None: until somebody takes the person off the list."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that `dispatch check` found wrong."""

    campaign_id: CampaignId | None
    what: str
