"""The beginning of a reply turn: take a lease, ask the gate, open the limits."""

from __future__ import annotations

import contextlib

from dispatcher.domain.errors import EpochLost, LimitsUnavailable
from dispatcher.domain.gate import decide_reply
from dispatcher.domain.grant import TurnPass
from dispatcher.domain.hold import Hold, HoldReason
from dispatcher.domain.ids import LaneId, SenderId
from dispatcher.domain.queued_reply import OpenedReplyTurn
from dispatcher.engine.rebuild import rebuild_pool
from dispatcher.engine.reply_tools import ReplyTools

NO_LANE = LaneId(0)
"""Replies belong to no lane and share with none."""


async def open_reply_turn(tools: ReplyTools, sender_id: SenderId) -> tuple[OpenedReplyTurn, TurnPass] | None:
    """None: nothing may be sent now; upkeep looks again every second. Raises LedgerUnavailable."""
    shared = tools.shared
    try:
        # why before: while all is well, the ledger has come at least as far as the witness knew a moment ago.
        remembered = await shared.witness.remembered()
    except LimitsUnavailable:
        return None
    opened = await tools.turns.open_turn(sender_id, shared.owner, shared.settings.lease, remembered)
    if opened is None:
        return None
    decision = decide_reply(
        opened.sender,
        opened.holds,
        shared.clock.now(),
        stricter=shared.policy.stricter,
        moved=opened.moved,
    )
    if not isinstance(decision, Hold):
        with contextlib.suppress(LimitsUnavailable):
            return opened, await _open_pass(tools, opened)
    elif decision.reason is HoldReason.FENCED:
        shared.telemetry.fenced(decision)
    await tools.turns.close_turn(opened)
    return None


async def _open_pass(tools: ReplyTools, opened: OpenedReplyTurn) -> TurnPass:
    """The right to ask the limits; rebuilds the pool first where that is needed."""
    sender, limits = opened.sender, tools.shared.limits
    order = (sender.pool, sender.id, NO_LANE, opened.turn_id, 1, 0)
    try:
        return await limits.open_turn(*order)
    except EpochLost:
        await rebuild_pool(tools.shared, sender.pool)
        return await limits.open_turn(*order)
