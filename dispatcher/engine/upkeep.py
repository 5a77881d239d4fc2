"""What keeps the house in order while nothing goes wrong, and after something did; one method per duty.

Each duty may run in several processes at once and at any time: it is a compare-and-set in the ledger or repeats itself
without effect.
"""

from __future__ import annotations

from dataclasses import dataclass

from dispatcher.domain.errors import EpochLost
from dispatcher.domain.pacing import Policy, limits_of
from dispatcher.ports import Clock, Jobs, Limits, SenderBook, Telemetry, Turns


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

    async def reap(self) -> int:
        """Settle turns whose worker died. Returns how many.

        The limits come first: once they bar the turn, it cannot hand over anything more, so what they
        return is all that may have been.
        """
        dead_turns = await self.turns.dead_turns()
        for dead in dead_turns:
            handed = await self.limits.reap(dead.pool, dead.turn_id)
            result = await self.turns.reap(dead, handed)
            self.telemetry.reaped(dead, result["reaped"], result["unsure"])
        return len(dead_turns)

    async def sweep(self) -> int:
        """Wake lanes that are due: long waits that are over, and wake-ups that were lost. Returns how many."""
        due = await self.turns.due_lanes()
        for lane in due:
            await self.jobs.wake(lane)
        return len(due)

    async def refresh(self) -> None:
        """Tell the limits how all senders stand, in case a change was made while they were away."""
        for sender in await self.senders.all():
            try:
                await self.limits.put_sender(limits_of(sender, self.policy))
            except EpochLost:
                continue
