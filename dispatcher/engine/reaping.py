"""Settling a turn that cannot do it itself: its worker died, or it lost track of its claims."""

from __future__ import annotations

from dispatcher.domain.turn import DeadTurn, Next
from dispatcher.ports import Limits, Telemetry, Turns


async def reap_turn(turns: Turns, limits: Limits, telemetry: Telemetry, dead: DeadTurn) -> Next | None:
    """What the turn may have handed over becomes unsure, the rest of its claims is pending again.

    The limits come first: once they bar the turn it cannot hand over anything more, so what they return is all
    that may have been. None when somebody else was quicker.
    """
    handed = await limits.reap(dead.pool, dead.turn_id)
    reaped = await turns.reap(dead, handed)
    if reaped is None:
        return None
    telemetry.reaped(dead, reaped.messages, reaped.unsure)
    return reaped.next
