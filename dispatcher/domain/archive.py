"""Old campaigns: whose messages are dropped, and what keeps them from it.

Messages of campaigns that began within one stretch of time lie together in a partition, and leave together, as a table that
is dropped and not as rows that are deleted. So what one campaign needs, the whole partition keeps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from dispatcher.domain.report import Ended, Reported

KEEP_AT_LEAST = timedelta(days=36)
"""Meta tries to deliver for 30 days, and a failure that it reports may need another attempt; the rest is slack. That somebody
has read a message is reported whenever they do, and changes nothing any more.
Source: Meta, "Message templates", time to live, read 2026-09.
"""


@dataclass(frozen=True, slots=True)
class Keeping:
    """How long what is kept."""

    stretch: timedelta
    """For which new campaigns go into one partition."""
    people: timedelta | None
    """Of a campaign after its end; None: for ever."""
    news: timedelta
    """Of accounts."""
    audit: timedelta
    """Entries of the log."""


class KeptBecause(StrEnum):
    """Why the messages of old campaigns are still here."""

    UNFINISHED = "unfinished"
    """A campaign is a draft, running or paused."""
    YOUNG = "young"
    """A campaign ended not long enough ago."""
    UNSURE = "unsure"
    """A message is unsure, and somebody has to decide."""
    IN_HAND = "in_hand"
    """A turn still has messages."""
    DIFFERENT = "different"
    """Counters and messages do not say the same; see `dispatch check`."""
    FENCED = "fenced"
    """The ledger is not where it was confirmed to be; see `dispatch fence show`."""
    BUSY = "busy"
    """Somebody reads or writes them at this moment; it is tried again."""


@dataclass(frozen=True, slots=True)
class Partition:
    """Messages and receipts that leave together: those of campaigns `first` to `last`."""

    first: int
    last: int
    campaigns: int
    people: int
    size_bytes: int
    """Tables and indexes on disk."""
    ended_at: datetime | None
    """When the last of its campaigns ended; None without any that did."""
    unfinished: int
    """Campaigns."""
    unsure: int
    """Messages."""
    in_hand: int
    """Messages."""

    def kept_because(self, keep: timedelta, now: datetime) -> Sequence[KeptBecause]:
        """What keeps it here at that moment; nothing: it may go. keep: how long after a campaign's end at least."""
        is_young = self.ended_at is not None and self.ended_at > now - keep
        reasons = {
            KeptBecause.UNFINISHED: self.unfinished > 0,
            KeptBecause.YOUNG: is_young,
            KeptBecause.UNSURE: self.unsure > 0,
            KeptBecause.IN_HAND: self.in_hand > 0,
        }
        return [reason for reason, holds in reasons.items() if holds]


@dataclass(frozen=True, slots=True)
class Results:
    """What a campaign has come to, beyond its counts; kept when its messages go."""

    ended: Sequence[Ended]
    reported: Sequence[Reported]
    rejected_rows: Mapping[str, int]
    first_posted_at: datetime | None
    last_posted_at: datetime | None
