"""What a turn asks the limits, and what they answer.

The limits decide for a whole sub-batch at once: who may be messaged now, who must wait and until when.
Asking is spending: whoever is in `Grant.go` has a rate token, a pair token and, where it costs one, a reach token.

`Ask` and `Granted` are tuples, unlike the rest: there is one of each per message, and to make a frozen dataclass takes
three times as long.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from dispatcher.domain.hold import Hold, HoldReason
from dispatcher.domain.ids import Epoch, LaneId, MessageId, PersonKey, PoolKey, SenderId, TurnId
from dispatcher.domain.rate import Rate
from dispatcher.domain.reach import LimitScope, Tier


@dataclass(frozen=True, slots=True)
class SenderLimits:
    """What the limits need to know of a sender; written to Redis whenever one of these changes."""

    sender_id: SenderId
    pool: PoolKey
    rate: Rate
    """Messages per second that campaigns and replies share; already lowered by policy."""
    burst: int
    """Messages the rate bucket holds when full; more than `reserve`."""
    reserve: int
    """Messages of the burst that campaigns may not take, for replies; at least 0."""
    tier: Tier
    scope: LimitScope
    hold: Hold | None
    """Set while the sender may not send at all (status, switched off, told to stop by Meta)."""
    rate_cause: str = ""
    """Why policy has lowered the rate, for people; empty where it has not."""


@dataclass(frozen=True, slots=True)
class TurnPass:
    """A turn's right to ask: valid for one epoch of the pool's memory, and until the turn is reaped."""

    pool: PoolKey
    sender_id: SenderId
    lane_id: LaneId
    turn_id: TurnId
    weight: int
    """The lane's share beside lanes of the same priority; at least 1."""
    priority: int
    """Lanes of a higher one go first."""
    epoch: Epoch


class Ask(NamedTuple):
    """One message to be granted."""

    message_id: MessageId
    person: PersonKey
    costs_reach: bool = True
    """False inside an open service window."""


class ReachToken(NamedTuple):
    """A reach token that a grant took or renewed; what is needed to give it back exactly."""

    person: PersonKey
    until_ms: int
    """When the token comes back, in Redis' milliseconds."""
    before_sender_ms: int
    """What stood there before among the sender's people: the end of an earlier token, or 0 for none."""
    before_pool_ms: int
    """The same among the pool's people; -1 where the pool was not the scope in force."""


class Granted(NamedTuple):
    """A message that may be posted now, with its reach token spelled out; `reach` is the token itself."""

    message_id: MessageId
    person: PersonKey
    until_ms: int
    """0 where reaching the person costs nothing."""
    before_sender_ms: int
    before_pool_ms: int

    @property
    def reach(self) -> ReachToken | None:
        """The token as it is given back; None where reaching the person costs nothing. Made on demand: few are."""
        if not self.until_ms:
            return None
        return ReachToken(self.person, self.until_ms, self.before_sender_ms, self.before_pool_ms)


@dataclass(frozen=True, slots=True)
class Wait:
    """A message that alone must wait, while others of the lane may go."""

    message_id: MessageId
    reason: HoldReason
    until: datetime
    """By the clock of who asked, as in `Grant.hold`."""


@dataclass(frozen=True, slots=True)
class Grant:
    """The answer to one sub-batch.

    Every asked message is either in `go`, or in `waits`, or covered by `hold`, which binds all the rest of the lane.
    """

    go: Sequence[Granted]
    waits: Sequence[Wait]
    hold: Hold | None
    """Always with `until`, except where an event must end it (a blocked sender). By the clock of who asked."""
    granted_at: datetime | None = None
    """When, by the limits' own clock; for `Limits.slow_down` only. None where nothing was asked."""


@dataclass(frozen=True, slots=True)
class Reached:
    """For rebuilding: a person whom a sender has messaged, or may be messaging now, and when last."""

    sender_id: SenderId
    person: PersonKey
    at: datetime
    turn_id: TurnId | None = None
    """The turn that holds the message, where it is not known to have been posted."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What is taken from a sender's buckets at one instant. Times are by the clock of who asked."""

    reach_used: int
    """People with a token out; 0 under an unlimited tier, which counts nobody."""
    reach_limit: int | None
    reach_next: datetime | None
    """When the next reach token comes back; None when none is out."""
    rate: Rate
    """In force now: after the policy, and after what Meta's refusals have made of it."""
    rate_level: int
    """Whole messages in the bucket, the reserve for replies included; below 0 while the bucket owes."""
    hold: Hold | None
    rate_cause: str = ""
    """Why the rate is lower than the sender's own, such as "130429"; empty where it is not."""
    rate_full_at: datetime | None = None
    """When a rate lowered by Meta's refusals will be whole again if none comes; None where it is not lowered so."""
    reserve: int = 0
    """Messages of the bucket that campaigns leave to replies now; grows with what comes in."""
    inbound_per_s: float = 0.0
    """Inbound messages per second, as measured over about ten seconds."""
