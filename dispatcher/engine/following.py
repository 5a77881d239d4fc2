"""Carrying out what an answer of Meta means beyond its own message.

`answers.py` decides, this does: holds for everything in a scope, what is remembered of the person, and what the limits
must know at once. The ledger is written first; the limits are told then, or by upkeep when Redis is back.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from dispatcher.domain.errors import LedgerUnavailable, LimitsUnavailable
from dispatcher.domain.gate import HeldScope
from dispatcher.domain.hold import Hold, HoldReason
from dispatcher.domain.ids import CampaignId, PersonKey
from dispatcher.domain.message import ClaimedMessage
from dispatcher.domain.pacing import Policy
from dispatcher.domain.posted import Posted, PostedKind
from dispatcher.domain.queued_reply import ClaimedReply
from dispatcher.domain.sender import Sender
from dispatcher.domain.turn import Held
from dispatcher.engine.answers import Consequence, Remember
from dispatcher.engine.telling import tell
from dispatcher.engine.tools import OUTAGE_PAUSE, LaneTools
from dispatcher.ports import Limits, Memory

FIRST_COOLDOWN = timedelta(hours=24)
LONGEST_COOLDOWN = timedelta(days=4)
"""Meta: not before 24 hours, and even then it may repeat. Source: Meta, "Per-user marketing template limits", read 2026-09."""
UNDELIVERABLE_TWICE = 2
"""From so many failures on, a person is left alone for the verdict's time."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a message went, and from where."""

    sender: Sender
    template: str
    language: str
    person: str
    """E.164 with the plus sign."""
    key: PersonKey

    def key_of(self, scope: HeldScope) -> str:
        """What a hold of this scope is stored under."""
        match scope:
            case HeldScope.SENDER:
                return str(self.sender.id)
            case HeldScope.ACCOUNT:
                return self.sender.waba_id
            case HeldScope.PORTFOLIO:
                return self.sender.portfolio_id or str(self.sender.id)
            case HeldScope.TEMPLATE:
                return f"{self.sender.waba_id}/{self.template}/{self.language}"


async def keep(memory: Memory, origin: Origin, consequence: Consequence, now: datetime) -> Held | None:
    """Write it down; returns the hold that came of it. Raises LedgerUnavailable; the next such answer tries again."""
    match consequence.remember:
        case Remember.OPTED_OUT:
            await memory.opt_out(origin.person, origin.key, "Meta, 131050", now)
        case Remember.COOLED_DOWN:
            await memory.cool_down(origin.key, FIRST_COOLDOWN, LONGEST_COOLDOWN)
        case Remember.UNDELIVERABLE:
            await _leave_alone(memory, origin, consequence, now)
        case None:
            pass
    hold, scope = consequence.hold, consequence.held_scope
    if hold is None or scope is None:
        return None
    return await memory.put_hold(scope, origin.key_of(scope), hold, consequence.code)


async def tell_limits(
    limits: Limits,
    policy: Policy,
    origin: Origin,
    consequence: Consequence,
    held: Held | None,
    granted_at: datetime | None = None,
) -> None:
    """What binds from the next sub-batch on. granted_at: when the message got its tokens, by the limits' clock."""
    held_senders: Sequence[Sender] = held.senders if held else ()
    for each in held_senders:
        assert held is not None
        await tell(limits, policy, each, [held.hold])
    sender = origin.sender
    with contextlib.suppress(LimitsUnavailable):  # without Redis nothing is granted anyway
        if consequence.slows_down:
            await limits.slow_down(sender.id, sender.pool, granted_at, str(consequence.code))
        if consequence.remember is Remember.OPTED_OUT:
            await limits.stop_people(sender.pool, [origin.key])
        if consequence.pair_until is not None:
            await limits.back_off_pair(sender.pool, sender.id, origin.key, consequence.pair_until)


async def follow(
    tools: LaneTools, origin: Origin, consequence: Consequence, granted_at: datetime | None
) -> Hold | None:
    """All of it, for a turn: keep, tell the limits, tell of it. Returns what ends the turn, where something does.

    Raises LedgerUnavailable.
    """
    held = await keep(tools.memory, origin, consequence, tools.clock.now())
    await tell_limits(tools.limits, tools.policy, origin, consequence, held, granted_at)
    if held is not None and consequence.held_scope is not None:
        tools.telemetry.held(origin.sender, consequence.held_scope, held.hold)
        return held.hold
    hold = consequence.hold
    if hold is not None and hold.reason is HoldReason.CHANNEL_UNAVAILABLE:
        return Hold(hold.reason, tools.clock.now() + OUTAGE_PAUSE, hold.detail)
    return hold


async def refused_before(
    tools: LaneTools, campaign_id: CampaignId, message: ClaimedMessage | ClaimedReply, posted: Posted
) -> int:
    """How often a message got this refusal in earlier attempts; asked only where there were any."""
    if posted.kind is not PostedKind.REFUSED or posted.verdict is None or message.attempt == 1:
        return 0
    try:
        return await tools.memory.times_refused(campaign_id, message.id, posted.verdict.code)
    except LedgerUnavailable:
        return 0  # one attempt more than its calendar has is better than a message given up for no reason


async def _leave_alone(memory: Memory, origin: Origin, consequence: Consequence, now: datetime) -> None:
    """Meta does not say why a person cannot be reached, so one failure is remembered, and only the next ones count."""
    if await memory.count_undeliverable(origin.key) >= UNDELIVERABLE_TWICE:
        assert consequence.remember_for is not None
        until = now + consequence.remember_for
        await memory.suppress(origin.person, origin.key, "undeliverable", "Meta, 131026", until)
