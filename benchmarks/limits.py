"""How many people the limits grant in a second, on one connection, in batches of 1, 100 and 500.

Everything that a turn does to ask is in the time: making the asks, one round trip, reading who goes. The tier is a
limited one, so each person takes a reach token and none was reached before; rate and tier are wide enough never to bind.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import uvloop
from redis.asyncio import Redis

from dispatcher.domain.grant import Ask, Reached, SenderLimits
from dispatcher.domain.ids import LaneId, MessageId, PersonKey, PoolKey, SenderId, TurnId
from dispatcher.domain.rate import Rate
from dispatcher.domain.reach import LimitScope, Tier
from dispatcher.embedded import EmbeddedValkey
from dispatcher.limits import RedisLimits

GOAL_PER_S = 100_000
"""In batches of 100."""
TIER = 1_000_000
PEOPLE_AT_ONCE = {1: 5_000, 100: 100_000, 500: 100_000}
"""Size of a batch → people of one round; a round begins with an empty memory."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The number of rounds, of which the median counts."""
    parser.add_argument("--rounds", type=int, default=5)


def run(given: argparse.Namespace) -> dict[str, Any]:
    """Measure it, the sizes in turn, so that a busy moment of the machine touches all."""
    with tempfile.TemporaryDirectory() as folder, EmbeddedValkey(Path(folder)) as server:
        per_s = uvloop.run(_rounds(server.url, given.rounds))
    medians = {f"people_per_s_batch_{size}": round(statistics.median(all_)) for size, all_ in per_s.items()}
    return {
        **medians,
        "rounds": given.rounds,
        "spread_batch_100": [round(min(per_s[100])), round(max(per_s[100]))],
        "holds": medians["people_per_s_batch_100"] >= GOAL_PER_S,
    }


async def _rounds(url: str, rounds: int) -> dict[int, list[float]]:
    redis: Redis = Redis.from_url(url, single_connection_client=True)
    per_s: dict[int, list[float]] = {size: [] for size in PEOPLE_AT_ONCE}
    for _ in range(rounds):
        for size, people in PEOPLE_AT_ONCE.items():
            await redis.flushall()
            per_s[size].append(await _people_per_s(redis, size, people))
    await redis.aclose()
    return per_s


async def _people_per_s(redis: Redis, size: int, people: int) -> float:
    limits = RedisLimits(redis, namespace="bench", timeout=timedelta(seconds=10))
    pool, sender_id = PoolKey("pool"), SenderId(1)
    sender = SenderLimits(
        sender_id, pool, Rate.parse("1000000/s"), TIER, 0, Tier(TIER, str(TIER)), LimitScope.SENDER, None
    )
    await limits.rebuild(pool, [sender], _nobody())
    turn = await limits.open_turn(pool, sender_id, LaneId(1), TurnId(1), 1, 0)
    audience = [(MessageId(n), PersonKey(f"+4915{110_000_000 + n}")) for n in range(people)]
    while (await limits.usage(sender)).rate_level < people:
        pass  # a rebuilt bucket is empty; this one fills within a tenth of a second
    granted = 0
    started = time.perf_counter()
    for first in range(0, people, size):
        grant = await limits.grant(turn, [Ask(*each) for each in audience[first : first + size]])
        granted += len(grant.go)
    seconds = time.perf_counter() - started
    assert granted == people, "the tier and the rate were to be wide enough"
    return people / seconds


async def _nobody() -> AsyncIterator[Sequence[Reached]]:
    return
    yield
