"""A campaign: one template to many people, over one or several senders.

`held` is not a state: a campaign that runs but may not send at present stays RUNNING, and its lanes say why they wait.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from dispatcher.domain.content import SlotMapping
from dispatcher.domain.ids import CampaignId, SenderId


class CampaignState(StrEnum):
    """What its owner has ordered, and whether the work is done."""

    DRAFT = "draft"
    """Created; people may be added; nothing is sent."""
    RUNNING = "running"
    """Lanes send whenever gate and limits allow it."""
    PAUSED = "paused"
    """An operator or a guard stopped it; unsent people stay pending."""
    COMPLETED = "completed"
    """Nobody is pending or claimed any more."""
    CANCELLED = "cancelled"
    """Stopped for good; unsent people are cancelled."""


class CampaignKind(StrEnum):
    """What it was made for. Both are sent, limited and counted in the same way."""

    AUDIENCE = "audience"
    """Many people, gathered in uploads."""
    SINGLE = "single"
    """One message that was ordered by itself; lists of campaigns leave it out."""
    STANDING = "standing"
    """Messages of one form that are ordered one by one; each makes it run again. Lists of campaigns leave it out."""


_S = CampaignState

MOVES: Mapping[CampaignState, frozenset[CampaignState]] = {
    _S.DRAFT: frozenset({_S.RUNNING, _S.CANCELLED}),
    _S.RUNNING: frozenset({_S.PAUSED, _S.COMPLETED, _S.CANCELLED}),
    _S.PAUSED: frozenset({_S.RUNNING, _S.CANCELLED}),
    _S.COMPLETED: frozenset(),
    _S.CANCELLED: frozenset(),
}
"""Which state may follow which. The ledger's SQL repeats each of these guards."""


class UnsurePolicy(StrEnum):
    """What happens to a message whose answer was lost, once the grace has passed without a receipt."""

    GIVE_UP = "give_up"
    """It stays unsent: at most once. The default for marketing."""
    RESEND = "resend"
    """It is posted again: at least once."""
    ASK = "ask"
    """An operator decides."""


@dataclass(frozen=True, slots=True)
class Campaign:
    """What was ordered. Counts are kept apart, in `Counts`."""

    id: CampaignId
    name: str
    state: CampaignState
    template: str
    language: str
    senders: Sequence[SenderId]
    mapping: SlotMapping
    """What fills the template's slots."""
    columns: Sequence[str]
    """The audience's columns that messages carry, in the order of their values."""
    weight: int
    priority: int
    deadline: datetime | None
    unsure_policy: UnsurePolicy
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    paused_because: str = ""
    """Why a guard paused it; empty where an operator did."""
    kind: CampaignKind = CampaignKind.AUDIENCE
    metadata: Mapping[str, str] = field(default_factory=dict)
    """Texts under names of the owner's own; we only keep them."""
    archived_at: datetime | None = None
    """When its messages were dropped as old; counts and report are kept."""


@dataclass(frozen=True, slots=True)
class NewCampaign:
    """What an owner orders; checked against the template before it is stored."""

    name: str
    template: str
    language: str
    senders: Sequence[SenderId]
    mapping: SlotMapping
    columns: Sequence[str]
    weight: int = 1
    priority: int = 0
    deadline: datetime | None = None
    unsure_policy: UnsurePolicy = UnsurePolicy.GIVE_UP
    idempotency_key: str | None = None
    kind: CampaignKind = CampaignKind.AUDIENCE
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Counts:
    """How many people of an audience are in which state, at one instant."""

    audience: int
    pending: int
    claimed: int
    accepted: int
    refused: int
    unsure: int
    suppressed: int
    cancelled: int
    expired: int

    @property
    def adds_up(self) -> bool:
        """Promise 2: every person is in exactly one state."""
        return self.audience == (
            self.pending
            + self.claimed
            + self.accepted
            + self.refused
            + self.unsure
            + self.suppressed
            + self.cancelled
            + self.expired
        )
