"""What keeps the house in order while nothing goes wrong, and after something did; one method per duty.

Each duty may run in several processes at once and at any time: it is a compare-and-set in the ledger or repeats itself
without effect.
"""

from __future__ import annotations

from dataclasses import dataclass

from dispatcher.domain.pacing import Policy
from dispatcher.engine.reaping import reap_turn
from dispatcher.engine.telling import tell_all
from dispatcher.ports import Clock, FenceBook, Jobs, Limits, SenderBook, Telemetry, Turns, Witness


@dataclass(frozen=True, slots=True)
class Upkeep:
    """The duties and what they need."""

    turns: Turns
    senders: SenderBook
    limits: Limits
    jobs: Jobs
    clock: Clock
    telemetry: Telemetry
    policy: Policy
    fence: FenceBook
    witness: Witness

    async def reap(self) -> int:
        """Settle turns whose lease has run out. Returns how many."""
        reaped = 0
        for dead in await self.turns.dead_turns():
            following = await reap_turn(self.turns, self.limits, self.telemetry, dead)
            reaped += following is not None
        return reaped

    async def sweep(self) -> int:
        """Wake lanes that are due: long waits that are over, and wake-ups that were lost. Returns how many."""
        due = await self.turns.due_lanes()
        await self.jobs.wake_due(due)
        return len(due)

    async def refresh(self) -> None:
        """Tell the limits how all senders stand, in case a change was made while they were away."""
        await tell_all(self.senders, self.limits, self.policy)

    async def beat(self) -> None:
        """Count the ledger's pulse up and have it remembered outside; one that has come less far puts the fence up."""
        remembered = await self.witness.remembered()
        pulse = await self.fence.beat(remembered)
        if pulse is not None:
            await self.witness.remember(pulse)
