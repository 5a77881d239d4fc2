"""The fence: a ledger that finds itself elsewhere than confirmed sends nothing.

Whoever restores a backup, promotes a standby or copies a database has a ledger that believes itself to be the only
one, and that may have forgotten what was sent since. The place of a ledger tells these apart, as far as PostgreSQL
shows it; what it cannot show is said in docs/fencing.md. Reading the place is the ledger's work, holding the gate's.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from dispatcher.domain.ids import CampaignId
from dispatcher.domain.turn import DueLane


class PlacePart(StrEnum):
    """What tells one place of a ledger from another.

    What an ordinary role may read, and what changes when, was tried on PostgreSQL 18.6; `tests/contracts/test_fence.py`
    repeats it.
    """

    SYSTEM = "system"
    """The cluster, by the identifier that `initdb` gave it: another one after a dump was restored elsewhere."""
    TIMELINE = "timeline"
    """The cluster's timeline: a promoted standby, or a backup recovered from the archive, begins a new one."""
    DATABASE = "database"
    """The database's number inside the cluster: another one in a copy beside the original."""
    DIRECTORY = "directory"
    """The folder of the cluster: another one for a copy of its files. Readable with the role `pg_read_all_settings`."""
    HISTORY = "history"
    """How far the ledger has come: less than Redis remembers after a snapshot was brought back in the same place."""


Place = Mapping[PlacePart, str]
"""As far as the role may read it; a part that may not be read is missing."""


@dataclass(frozen=True, slots=True)
class Fence:
    """Where the ledger was confirmed to be, and where it is."""

    instance: str
    epoch: int
    confirmed: Place
    here: Place
    moved: Sequence[PlacePart]
    """Parts that differ; empty: the fence is down."""
    confirmed_at: datetime | None
    """None: since the ledger was first opened."""

    @property
    def is_up(self) -> bool:
        """Whether nothing may be sent."""
        return bool(self.moved)

    @property
    def unread(self) -> Sequence[PlacePart]:
        """Parts that the role may not read, and that tell nothing."""
        return [part for part in PlacePart if part not in self.here]


@dataclass(frozen=True, slots=True)
class Confirmed:
    """What confirming a place has changed."""

    epoch: int
    paused: Sequence[CampaignId]
    unsure: int
    """Messages that were in the hands of a turn when the copy was made."""
    lanes: Sequence[DueLane]
    """To be woken."""


def moved_text(moved: Collection[str]) -> str:
    """What differs, for people: "another timeline and database than confirmed"."""
    return f"another {' and '.join(moved)} than confirmed"
