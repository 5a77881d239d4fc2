"""The leases of all turns of one process: prolonged together, several times a second, by one statement.

With the same question each turn learns whether its campaign is still wanted, and whether the lease is still its own.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Protocol

from dispatcher.domain.campaign import CampaignState
from dispatcher.domain.errors import LedgerUnavailable
from dispatcher.domain.turn import OpenedTurn
from dispatcher.engine.settling import pause
from dispatcher.ports import Clock, Turns

LOOK_EVERY_S = 0.4
"""How often a running turn's lease is prolonged and it learns of a pause; a pause must bite within a second."""


class Leaseholder(Protocol):
    """A turn, as it is told of its lease."""

    @property
    def opened(self) -> OpenedTurn:
        """Which turn it is."""
        ...

    def lease_is_kept(self, state: CampaignState, asked_at_s: float) -> None:
        """The lease holds on from the time of asking, by the monotonic clock; this is what the campaign's owner wants."""
        ...

    def lease_is_unknown(self, asked_at_s: float) -> None:
        """The ledger did not answer what was asked then."""
        ...

    def lease_is_lost(self) -> None:
        """The turn was reaped."""
        ...


class Leases:
    """Keeps the leases of one process. It has a task of its own while there are any."""

    def __init__(self, turns: Turns, clock: Clock, lease: timedelta) -> None:
        self._turns = turns
        self._clock = clock
        self._lease = lease
        self._holders: set[Leaseholder] = set()
        self._nobody = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def keep(self, holder: Leaseholder) -> None:
        """From now on, until `leave`."""
        self._holders.add(holder)
        self._nobody.clear()
        if self._task is None:
            self._task = asyncio.create_task(self._look_steadily())

    def leave(self, holder: Leaseholder) -> None:
        """The lease is given back, lost, or left to run out."""
        self._holders.discard(holder)
        if not self._holders:
            self._nobody.set()

    async def _look_steadily(self) -> None:
        try:
            while self._holders:
                await pause(self._nobody, LOOK_EVERY_S)
                if self._holders:
                    await self._look(tuple(self._holders))
        finally:
            self._task = None

    async def _look(self, holders: tuple[Leaseholder, ...]) -> None:
        asked_at_s = self._clock.monotonic()
        held = [(holder.opened.lane_id, holder.opened.turn_id) for holder in holders]
        try:
            wanted = await self._turns.heartbeat(held, self._lease)
        except LedgerUnavailable:
            for holder in holders:
                holder.lease_is_unknown(asked_at_s)
            return
        for holder in holders:
            state = wanted.get(holder.opened.turn_id)
            if state is None:
                self._holders.discard(holder)
                holder.lease_is_lost()
            else:
                holder.lease_is_kept(state, asked_at_s)
