"""Carrying out what an answer of Meta means beyond its own message.

`answers.py` decides, this does: holds for everything in a scope, and what is remembered of the person.
"""

from __future__ import annotations

import contextlib
from datetime import timedelta

from dispatcher.domain.errors import LimitsUnavailable
from dispatcher.domain.gate import HeldScope
from dispatcher.domain.hold import Hold, HoldReason
from dispatcher.domain.message import ClaimedMessage
from dispatcher.domain.turn import OpenedTurn
from dispatcher.engine.answers import Consequence, Remember
from dispatcher.engine.telling import tell
from dispatcher.engine.tools import OUTAGE_PAUSE, LaneTools

FIRST_COOLDOWN = timedelta(hours=24)
LONGEST_COOLDOWN = timedelta(days=4)
"""Meta: not before 24 hours, and even then it may repeat. Source: Meta, "Per-user marketing template limits", read 2026-09."""
UNDELIVERABLE_TWICE = 2
"""From so many failures on, a person is left alone for the verdict's time."""


async def follow(
    tools: LaneTools, turn: OpenedTurn, message: ClaimedMessage, consequence: Consequence
) -> Hold | None:
    """Do it; returns the hold that ends the turn. Raises LedgerUnavailable; the next such answer tries again."""
    match consequence.remember:
        case Remember.OPTED_OUT:
            await tools.turns.suppress(message.person, message.key, "opted_out", "Meta, 131050")
        case Remember.COOLED_DOWN:
            await tools.turns.cool_down(message.key, FIRST_COOLDOWN, LONGEST_COOLDOWN)
        case Remember.UNDELIVERABLE:
            await _leave_alone(tools, message, consequence)
        case None:
            pass
    await _tell_rates(tools, turn, message, consequence)
    hold, scope = consequence.hold, consequence.held_scope
    if hold is not None and scope is not None:
        held = await tools.turns.put_hold(scope, _key_of(scope, turn), hold, consequence.outcome.code)
        for sender in held:
            await tell(tools.limits, tools.policy, sender, [hold])
        tools.telemetry.held(turn.sender, scope, hold)
    if hold is not None and hold.reason is HoldReason.CHANNEL_UNAVAILABLE:
        return Hold(hold.reason, tools.clock.now() + OUTAGE_PAUSE, hold.detail)
    return hold


async def _tell_rates(
    tools: LaneTools, turn: OpenedTurn, message: ClaimedMessage, consequence: Consequence
) -> None:
    """What the limits must know at once; without Redis nothing is granted anyway."""
    sender = turn.sender
    with contextlib.suppress(LimitsUnavailable):
        if consequence.slows_down:
            await tools.limits.slow_down(sender.id, sender.pool)
        if consequence.pair_until is not None:
            await tools.limits.back_off_pair(sender.pool, sender.id, message.key, consequence.pair_until)


async def _leave_alone(tools: LaneTools, message: ClaimedMessage, consequence: Consequence) -> None:
    """Meta does not say why a person cannot be reached, so one failure is remembered, and only the next ones count."""
    if await tools.turns.count_undeliverable(message.key) >= UNDELIVERABLE_TWICE:
        assert consequence.remember_for is not None
        until = tools.clock.now() + consequence.remember_for
        await tools.turns.suppress(message.person, message.key, "undeliverable", "Meta, 131026", until)


def _key_of(scope: HeldScope, turn: OpenedTurn) -> str:
    sender, campaign = turn.sender, turn.campaign
    match scope:
        case HeldScope.SENDER:
            return str(sender.id)
        case HeldScope.ACCOUNT:
            return sender.waba_id
        case HeldScope.PORTFOLIO:
            return sender.portfolio_id or str(sender.id)
        case HeldScope.TEMPLATE:
            return f"{sender.waba_id}/{campaign.template}/{campaign.language}"
