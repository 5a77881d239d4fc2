"""One of several processes that race for one tier. Imported by name in a process of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from multiprocessing.synchronize import Barrier

from limits_builders import a_sender, nobody
from redis.asyncio import Redis

from dispatcher.domain.grant import Ask, SenderLimits
from dispatcher.domain.hold import HoldReason
from dispatcher.domain.ids import LaneId, MessageId, PersonKey, PoolKey, SenderId, TurnId
from dispatcher.limits import RedisLimits

BATCH = 50


def sender_of(run: int, tier: int) -> SenderLimits:
    """Each run has a pool of its own."""
    sender = replace(a_sender(tier=tier, rate="100000/s", burst=100_000), pool=PoolKey(f"run-{run}"))
    return replace(sender, sender_id=SenderId(run))


def race(
    url: str, racer: int, runs: int, tier: int, people: Sequence[int], barrier: Barrier
) -> Sequence[Sequence[str]]:
    """Ask for all of these people, in every run; begin each run together with the others. Who was granted, per run."""
    return asyncio.run(_race(url, racer, runs, tier, people, barrier))


async def _race(
    url: str, racer: int, runs: int, tier: int, people: Sequence[int], barrier: Barrier
) -> Sequence[Sequence[str]]:
    redis: Redis = Redis.from_url(url)
    limits = RedisLimits(redis, namespace="race", timeout=timedelta(seconds=20))
    granted = []
    for run in range(runs):
        barrier.wait()
        granted.append(await _one_run(limits, sender_of(run, tier), racer, people))
    await redis.aclose()
    return granted


async def _one_run(
    limits: RedisLimits, sender: SenderLimits, racer: int, people: Sequence[int]
) -> Sequence[str]:
    await limits.rebuild(sender.pool, [sender], nobody())
    turn = await limits.open_turn(sender.pool, sender.sender_id, LaneId(racer), TurnId(racer), 1, 0)
    asks = [Ask(MessageId(n), PersonKey(f"+{n}")) for n in people]
    granted: list[str] = []
    while asks:
        grant = await limits.grant(turn, asks[:BATCH])
        granted += [each.person for each in grant.go]
        gone = {each.message_id for each in grant.go}
        if grant.hold is None or grant.hold.reason is HoldReason.TIER_EXHAUSTED:
            asks = asks[BATCH:]
        else:  # the rate, or the others' share: ask again, as fast as can be
            asks = [ask for ask in asks if ask.message_id not in gone]
    return granted
