"""What the turns of one process share, and how they behave."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta

from dispatcher.domain.pacing import Policy
from dispatcher.engine.leases import Leases
from dispatcher.engine.posting import Posting
from dispatcher.engine.settling import Settling
from dispatcher.ports import (
    CampaignBook,
    Channel,
    Clock,
    Limits,
    Memory,
    Payloads,
    SenderBook,
    Telemetry,
    Turns,
    Witness,
)

OUTAGE_PAUSE = timedelta(seconds=1)
"""How long a lane waits before it asks a part again that did not answer."""


@dataclass(frozen=True, slots=True)
class LaneSettings:
    """How a turn behaves; see `settings.py` for what each is good for."""

    slice: timedelta = timedelta(seconds=5)
    lease: timedelta = timedelta(seconds=15)
    claim_most: int = 500
    grant_most: int = 100
    longest_nap: timedelta = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class LaneTools:
    """What every turn of a process shares."""

    turns: Turns
    memory: Memory
    campaigns: CampaignBook
    senders: SenderBook
    limits: Limits
    witness: Witness
    channel: Channel
    payloads: Payloads
    clock: Clock
    day: timedelta
    """How long a reached person counts against the tier."""
    telemetry: Telemetry
    policy: Policy
    settings: LaneSettings
    posting: Posting
    """Posts that the whole process may have on the wire at once."""
    settling: Settling
    """Writes what all turns of the process have to say."""
    leases: Leases
    """Keeps the leases of all turns of the process."""
    stopping: asyncio.Event
    """Set when the process is asked to stop: finish what is in flight, claim no more."""
    owner: str
    """Names this process in the ledger's leases."""
