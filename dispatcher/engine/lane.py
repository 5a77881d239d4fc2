"""A lane's turn from the outside: take the lease, ask the gate, open the limits, and let the turn work."""

from __future__ import annotations

from dispatcher.domain.errors import LimitsUnavailable
from dispatcher.domain.gate import Drop, Go, decide
from dispatcher.domain.hold import Hold, HoldReason
from dispatcher.domain.ids import LaneId
from dispatcher.domain.turn import Next
from dispatcher.engine.rebuild import open_pass
from dispatcher.engine.tools import OUTAGE_PAUSE, LaneTools
from dispatcher.engine.turn import Turn, drop


async def run_turn(tools: LaneTools, lane_id: LaneId) -> Next | None:
    """Run one turn. None when the lane has another turn already, or was taken from this one."""
    opened = await tools.turns.open_turn(lane_id, tools.owner, tools.settings.lease)
    if opened is None:
        return None
    decision = decide(
        opened.campaign,
        opened.sender,
        opened.template,
        opened.holds,
        tools.clock.now(),
        stricter=tools.policy.stricter,
    )
    match decision:
        case Hold():
            return await tools.turns.close_turn(opened, decision)
        case Drop(reason):
            return await drop(tools, opened, reason)
        case Go():
            pass
    try:
        turn_pass = await open_pass(tools, opened)
    except LimitsUnavailable as error:
        hold = Hold(HoldReason.LIMITS_UNAVAILABLE, tools.clock.now() + OUTAGE_PAUSE, str(error))
        return await tools.turns.close_turn(opened, hold)
    return await Turn(tools, opened, turn_pass).run()
