"""Refilling the limits' memory from the ledger, after Redis lost it or saw a pool for the first time."""

from __future__ import annotations

from dispatcher.domain.errors import EpochLost
from dispatcher.domain.grant import TurnPass
from dispatcher.domain.ids import PoolKey
from dispatcher.domain.pacing import Policy, limits_of
from dispatcher.domain.reach import DAY
from dispatcher.ports import Clock, Limits, OpenedTurn, Turns


async def rebuild_pool(pool: PoolKey, turns: Turns, limits: Limits, clock: Clock, policy: Policy) -> None:
    """Tell the limits all senders of a pool, and everybody whom these may have reached within a day."""
    senders = [limits_of(sender, policy) for sender in await turns.senders_of_pool(pool)]
    await limits.rebuild(pool, senders, turns.reached_of_pool(pool, clock.now() - DAY))


async def open_pass(turn: OpenedTurn, turns: Turns, limits: Limits, clock: Clock, policy: Policy) -> TurnPass:
    """A turn's right to ask the limits; rebuilds the pool first where that is needed."""
    sender, weight = turn.sender, turn.campaign.weight
    try:
        return await limits.open_turn(sender.pool, sender.id, turn.lane_id, turn.turn_id, weight)
    except EpochLost:
        await rebuild_pool(sender.pool, turns, limits, clock, policy)
        return await limits.open_turn(sender.pool, sender.id, turn.lane_id, turn.turn_id, weight)
