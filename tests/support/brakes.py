"""Real ports with a brake: a test decides when a call goes on. Nothing else about them is changed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from redis.asyncio import Redis

from dispatcher.domain.errors import LedgerUnavailable, LimitsUnavailable
from dispatcher.domain.grant import Ask, Grant, TurnPass
from dispatcher.domain.posted import Posted
from dispatcher.domain.sender import Sender
from dispatcher.domain.turn import Taken
from dispatcher.ledger.database import Database
from dispatcher.ledger.turns import LedgerTurns
from dispatcher.limits.limits import RedisLimits
from dispatcher.ports import Channel


class Brake:
    """`reached` when somebody stands at it, `open` when they may go on."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.open = asyncio.Event()
        self.waiting = 0

    async def stop(self) -> None:
        """Stand here until it is open."""
        self.waiting += 1
        self.reached.set()
        await self.open.wait()


class BrakedChannel:
    """The way to Meta, with a brake before each post is written."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self.brake = Brake()

    async def post(self, sender: Sender, body: bytes) -> Posted:
        """The port's promise."""
        await self.brake.stop()
        return await self._channel.post(sender, body)


class BrakedSettling(LedgerTurns):
    """The ledger, with a brake before outcomes are written."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.brake = Brake()

    async def settle_accepted(self, taken: Sequence[Taken]) -> int:
        """The port's promise."""
        await self.brake.stop()
        return await super().settle_accepted(taken)


class ForgetfulLedger(LedgerTurns):
    """The ledger, whose first answers to `settle_accepted` are lost, after or before it wrote."""

    def __init__(self, database: Database, *, lost: int, is_written: bool) -> None:
        super().__init__(database)
        self.lost = lost
        self.is_written = is_written

    async def settle_accepted(self, taken: Sequence[Taken]) -> int:
        """The port's promise."""
        if self.lost == 0:
            return await super().settle_accepted(taken)
        self.lost -= 1
        if self.is_written:
            await super().settle_accepted(taken)
        raise LedgerUnavailable("the connection broke")


class ForgetfulLimits(RedisLimits):
    """The limits, whose answers to some `grant`s are lost after they were spent; counted from 1."""

    def __init__(self, redis: Redis, *, namespace: str, lost: frozenset[int]) -> None:
        super().__init__(redis, namespace=namespace)
        self.lost = lost
        self.asked = 0

    async def grant(self, turn: TurnPass, asks: Sequence[Ask], *, is_reply: bool = False) -> Grant:
        """The port's promise."""
        self.asked += 1
        grant = await super().grant(turn, asks, is_reply=is_reply)
        if self.asked in self.lost:
            raise LimitsUnavailable("no answer in time")
        return grant
