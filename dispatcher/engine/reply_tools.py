"""What reply turns share, and how a dead one is settled."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from dispatcher.domain.queued_reply import DeadReplyTurn
from dispatcher.engine.tools import LaneTools
from dispatcher.ports import ReplyChannel, ReplyJobs, ReplyPayloads, ReplyTurns

LINGER = timedelta(seconds=1)
"""How long a turn that has nothing left to do waits for more: beginning anew costs four round trips."""
SLICE = timedelta(seconds=60)
"""How long a turn goes on claiming. It is in nobody's way, for others may serve the same sender."""


@dataclass(frozen=True, slots=True)
class ReplyTools:
    """What every reply turn of a process shares."""

    shared: LaneTools
    """What replies have in common with campaigns: limits, memory, time, leases, the order to stop."""
    turns: ReplyTurns
    channel: ReplyChannel
    payloads: ReplyPayloads
    jobs: ReplyJobs
    in_flight: int
    """Replies of one sender that a process may have in hand at once."""
    linger: timedelta = LINGER
    slice: timedelta = SLICE


async def reap_reply_turn(tools: ReplyTools, dead: DeadReplyTurn) -> bool:
    """What the turn may have handed over becomes unsure, the rest is pending again. False when others were quicker.

    The limits come first, as for a lane's turn: once they bar the turn it cannot hand over anything more.
    """
    handed = await tools.shared.limits.reap(dead.pool, dead.turn_id)
    reaped = await tools.turns.reap(dead, handed)
    if reaped is None:
        return False
    replies, are_unsure = reaped
    tools.shared.telemetry.reply_turn_reaped(dead, replies, are_unsure)
    await tools.jobs.wake(dead.sender.id)
    return True
