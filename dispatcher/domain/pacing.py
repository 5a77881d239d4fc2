"""How fast: what a sender's state makes of its rate, and how much a turn may claim at once.

Rules only; the buckets that enforce the result are in Redis.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from dispatcher.domain.gate import last_to_end, sender_hold
from dispatcher.domain.grant import SenderLimits
from dispatcher.domain.hold import Hold
from dispatcher.domain.rate import Rate
from dispatcher.domain.sender import SLOWED_STATUSES, Quality, Sender, SenderStatus

CLAIM_AHEAD = timedelta(milliseconds=500)
"""A claim holds what can go within this time; with the next claim already made, a turn is one second ahead at most."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What an operator may set: only ever more careful than the platform's rules."""

    stricter: frozenset[SenderStatus] = field(default_factory=frozenset)
    """Statuses that block sending in addition to the six that always do."""
    slowed_share: float = 0.5
    """The part of its rate that a RATE_LIMITED, FLAGGED or low-quality sender may use; above 0, at most 1."""
    burst: timedelta = timedelta(milliseconds=250)
    """How much of the rate may go at once after a quiet moment."""
    reserve_share: float = 0.2
    """The part of that burst which campaigns leave to replies."""
    sends_us_marketing: bool = False
    """Whether marketing templates are posted to numbers of the United States, where Meta does not deliver them."""
    late_after: timedelta = timedelta(hours=12)
    """How long a lane may have been due before its campaign is paused instead of going on late."""


def limits_of(sender: Sender, policy: Policy, holds: Sequence[Hold] = ()) -> SenderLimits:
    """What the limits have to enforce for a sender as it stands.

    holds: those in force on the sender, its account or its portfolio; not those of templates.
    """
    rate, cause = sender.rate, ""
    if sender.status in SLOWED_STATUSES or sender.quality is Quality.LOW:
        cause = str(sender.status) if sender.status in SLOWED_STATUSES else "low quality"
        rate = Rate(max(1, round(rate.milli_per_s * policy.slowed_share)))
    burst = max(1, math.floor(rate.per_s * policy.burst.total_seconds()))
    return SenderLimits(
        sender_id=sender.id,
        pool=sender.pool,
        rate=rate,
        burst=burst,
        reserve=min(burst - 1, math.floor(burst * policy.reserve_share)),
        tier=sender.tier,
        scope=sender.limit_scope,
        hold=sender_hold(sender, policy.stricter) or last_to_end(holds),
        rate_cause=cause,
    )


def claim_size(rate: Rate, most: int) -> int:
    """How many messages a turn claims at once: what can go within `CLAIM_AHEAD`, from 1 to `most`."""
    return min(most, max(1, math.ceil(rate.per_s * CLAIM_AHEAD.total_seconds())))
