"""A lane's turn from the outside: take the lease, ask the gate, open the limits, and let the turn work."""

from __future__ import annotations

import contextlib

from dispatcher.domain.campaign import CampaignState
from dispatcher.domain.errors import Conflict, LimitsUnavailable
from dispatcher.domain.gate import Drop, Go, Pause, decide
from dispatcher.domain.hold import Hold, HoldReason
from dispatcher.domain.ids import LaneId
from dispatcher.domain.turn import Next, OpenedTurn
from dispatcher.engine.rebuild import open_pass
from dispatcher.engine.tools import OUTAGE_PAUSE, LaneTools
from dispatcher.engine.turn import Turn, drop


async def run_turn(tools: LaneTools, lane_id: LaneId) -> Next | None:
    """Run one turn. None when the lane has another turn already, or was taken from this one."""
    away: LimitsUnavailable | None = None
    remembered = 0
    try:
        # why before: while all is well, the ledger has come at least as far as the witness knew a moment ago.
        remembered = await tools.witness.remembered()
    except LimitsUnavailable as error:
        away = error
    opened = await tools.turns.open_turn(lane_id, tools.owner, tools.settings.lease, remembered)
    if opened is None:
        return None
    decision = decide(
        opened.campaign,
        opened.sender,
        opened.template,
        opened.holds,
        tools.clock.now(),
        stricter=tools.policy.stricter,
        moved=opened.moved,
        due_at=opened.due_at,
        late_after=tools.policy.late_after,
    )
    match decision:
        case Hold():
            if decision.reason is HoldReason.FENCED:
                tools.telemetry.fenced(decision)
            return await tools.turns.close_turn(opened, decision)
        case Drop(reason):
            return await drop(tools, opened, reason)
        case Pause(cause):
            return await _pause(tools, opened, cause)
        case Go():
            pass
    try:
        if away is not None:
            raise away
        turn_pass = await open_pass(tools, opened)
    except LimitsUnavailable as error:
        hold = Hold(HoldReason.LIMITS_UNAVAILABLE, tools.clock.now() + OUTAGE_PAUSE, str(error))
        return await tools.turns.close_turn(opened, hold)
    return await Turn(tools, opened, turn_pass).run()


async def _pause(tools: LaneTools, opened: OpenedTurn, cause: str) -> Next:
    """A guard stops the campaign as its owner would; its owner lets it go on."""
    # why suppressed: somebody has cancelled it meanwhile, and the next turn learns of that.
    with contextlib.suppress(Conflict):
        await tools.campaigns.move(opened.campaign.id, CampaignState.PAUSED, cause)
        tools.telemetry.paused(opened.campaign, cause)
    return await tools.turns.close_turn(opened, Hold(HoldReason.PAUSED, detail=cause))
