"""Refilling the limits' memory from the ledger, after Redis lost it or saw a pool for the first time."""

from __future__ import annotations

from dispatcher.domain.errors import EpochLost
from dispatcher.domain.grant import TurnPass
from dispatcher.domain.ids import PoolKey
from dispatcher.domain.pacing import limits_of
from dispatcher.domain.turn import OpenedTurn
from dispatcher.engine.tools import LaneTools


async def rebuild_pool(tools: LaneTools, pool: PoolKey, *, force: bool = False) -> None:
    """Tell the limits all senders of a pool, and everybody whom these may have reached within a day.

    force: also where nothing seems to be missing.
    """
    standing = [
        limits_of(sender, tools.policy, holds)
        for sender, holds in await tools.senders.standing()
        if sender.pool == pool
    ]
    await tools.limits.rebuild(
        pool, standing, tools.turns.reached_of_pool(pool, tools.clock.now() - tools.day), force=force
    )


async def open_pass(tools: LaneTools, turn: OpenedTurn) -> TurnPass:
    """A turn's right to ask the limits; rebuilds the pool first where that is needed."""
    pool, campaign = turn.sender.pool, turn.campaign
    order = (pool, turn.sender.id, turn.lane_id, turn.turn_id, campaign.weight, campaign.priority)
    try:
        return await tools.limits.open_turn(*order)
    except EpochLost:
        await rebuild_pool(tools, pool)
        return await tools.limits.open_turn(*order)
