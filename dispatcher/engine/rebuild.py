"""Refilling the limits' memory from the ledger, after Redis lost it or saw a pool for the first time."""

from __future__ import annotations

import asyncio

from dispatcher.domain.errors import EpochLost
from dispatcher.domain.grant import TurnPass
from dispatcher.domain.ids import PoolKey
from dispatcher.domain.pacing import limits_of
from dispatcher.domain.turn import OpenedTurn
from dispatcher.engine.tools import LaneTools

OLD_TURNS_S = 1.0
"""How long turns of the lost memory are waited for. They learn of the loss with their next question, and then end."""
_LOOK_EVERY_S = 0.05


async def rebuild_pool(tools: LaneTools, pool: PoolKey, *, force: bool = False) -> None:
    """Tell the limits all senders of a pool, and everybody whom these may have reached within a day.

    force: also where nothing seems to be missing.
    """
    await _let_old_turns_end(tools, pool)
    standing = [
        limits_of(sender, tools.policy, holds)
        for sender, holds in await tools.senders.standing()
        if sender.pool == pool
    ]
    await tools.limits.rebuild(
        pool, standing, tools.turns.reached_of_pool(pool, tools.clock.now() - tools.day), force=force
    )


async def _let_old_turns_end(tools: LaneTools, pool: PoolKey) -> None:
    """What a turn of the lost memory was granted nobody knows until it has settled: so all that it holds would count as
    reached, and keep others of the tier waiting for a day. Most have settled within a moment."""
    ends_s = tools.clock.monotonic() + OLD_TURNS_S
    while tools.clock.monotonic() < ends_s:
        holding = await tools.turns.turns_with_claims(pool)
        if not holding or not await tools.limits.strangers(pool, holding):
            return
        await asyncio.sleep(_LOOK_EVERY_S)


async def open_pass(tools: LaneTools, turn: OpenedTurn) -> TurnPass:
    """A turn's right to ask the limits; rebuilds the pool first where that is needed."""
    pool, campaign = turn.sender.pool, turn.campaign
    order = (pool, turn.sender.id, turn.lane_id, turn.turn_id, campaign.weight, campaign.priority)
    try:
        return await tools.limits.open_turn(*order)
    except EpochLost:
        await rebuild_pool(tools, pool)
        return await tools.limits.open_turn(*order)
