"""A turn of a lane: what it knows when it begins, what it leaves when it ends.

A lane is one campaign on one sender, the unit of scheduling; a turn is one run of it, under a lease in the ledger.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from dispatcher.domain.campaign import Campaign
from dispatcher.domain.hold import Hold
from dispatcher.domain.ids import CampaignId, LaneId, MessageId, PoolKey, TurnId
from dispatcher.domain.sender import Sender
from dispatcher.domain.template import Template


@dataclass(frozen=True, slots=True)
class DueLane:
    """A lane that should be running. The generation is part of its job's id."""

    lane_id: LaneId
    generation: int
    is_overdue: bool = False
    """Whether it has been due for longer than a worker that has taken it needs to begin."""


@dataclass(frozen=True, slots=True)
class Next:
    """When a lane should run again. `at` None: nothing to do until an event (a start, a better status) says so."""

    lane: DueLane
    at: datetime | None


@dataclass(frozen=True, slots=True)
class OpenedTurn:
    """All that a turn knows when it begins; read in one go, so that the gate sees one instant."""

    lane_id: LaneId
    turn_id: TurnId
    campaign: Campaign
    sender: Sender
    template: Template | None
    """None when the account has no template of that name and language (any more)."""
    holds: Sequence[Hold]
    """Holds in force on the sender, its account, its portfolio or the template."""
    instance: str
    """The ledger's own name, part of each message token."""
    due_at: datetime | None = None
    """Since when the turn was due; None when an event came before its time."""
    moved: Sequence[str] = ()
    """What tells the ledger's place from the confirmed one; see `domain/fence.py`."""


class Taken(NamedTuple):
    """Messages of one turn that Meta took with nothing more to say, which is nearly all of them."""

    turn: OpenedTurn
    ids: Sequence[MessageId]
    wamids: Sequence[str]
    """Meta's ids, in the same order."""


@dataclass(frozen=True, slots=True)
class DeadTurn:
    """A turn whose lease ran out: its worker died, or was stopped for too long."""

    lane_id: LaneId
    turn_id: TurnId
    campaign_id: CampaignId
    pool: PoolKey


@dataclass(frozen=True, slots=True)
class Reaped:
    """What became of a dead turn's messages, and when its lane runs again."""

    messages: int
    unsure: int
    next: Next


@dataclass(frozen=True, slots=True)
class Held:
    """A hold as it is in force now, which may be longer than what was asked for, and whom it holds altogether."""

    hold: Hold
    senders: Sequence[Sender]
    """None for a template's: its senders may still send other templates."""
