"""How many posts are on the wire at once: it follows the latency of the way, in both directions."""

from __future__ import annotations

import asyncio
import math

import pytest

from dispatcher.engine.in_flight import LEAST, PER_S, WINDOW_S, InFlight
from dispatcher.engine.posting import Posting, Posts


def after(in_flight: InFlight, latency_s: float, *, since_s: float, seconds: float) -> int:
    """What is allowed when each answer took as long, 100 times a second."""
    for n in range(math.ceil(seconds * 100)):
        now_s = since_s + n / 100
        in_flight.answered(now_s - latency_s, now_s)
    return in_flight.allowed


@pytest.mark.parametrize(
    ("latency_s", "allowed"),
    [(0.0005, LEAST), (0.01, 200), (0.02, 400), (0.05, 512), (0.15, 512), (2.0, 512)],
)
def test_as_many_as_the_latency_asks_for_and_never_more_than_set(latency_s: float, allowed: int) -> None:
    assert after(InFlight(512), latency_s, since_s=0, seconds=1) == allowed


def test_a_way_that_becomes_longer_gets_more_and_one_that_becomes_shorter_less() -> None:
    in_flight = InFlight(1_000)
    assert after(in_flight, 0.001, since_s=0, seconds=3) == LEAST
    assert after(in_flight, 0.04, since_s=10, seconds=2 * WINDOW_S + 1) == 0.04 * PER_S
    assert after(in_flight, 0.001, since_s=20, seconds=0.01) == LEAST, "the first quick answer tells"


def test_waiting_in_our_own_process_is_not_taken_for_latency() -> None:
    """Where everybody waits behind everybody, some still come through quickly, whatever the mean is."""
    in_flight = InFlight(512)
    for n in range(1_000):
        in_flight.answered(n / 1_000 - (0.002 if n % 50 == 0 else 0.04), n / 1_000)
    assert in_flight.allowed == LEAST


def test_little_is_allowed_where_little_is_set() -> None:
    assert InFlight(5).allowed == 5
    assert after(InFlight(5), 1.0, since_s=0, seconds=1) == 5


class Way:
    """A way to nowhere by a clock of its own: whoever is on it arrives when the test says so."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.on_it: list[asyncio.Future[bool]] = []

    async def post(self, item: int) -> bool:
        self.on_it.append(asyncio.get_running_loop().create_future())
        return await self.on_it[-1]

    async def arrive(self, latency_s: float) -> int:
        """All of them, this much later. Returns how many are on their way then."""
        self.now_s += latency_s
        arrived, self.on_it = self.on_it, []
        for each in arrived:
            each.set_result(True)
        await asyncio.sleep(0)  # those who are answered go on …
        await asyncio.sleep(0)  # … and so do those whom that has made room for
        await asyncio.sleep(0)
        return len(self.on_it)


async def test_posting_widens_on_a_long_way_narrows_on_a_short_one_and_loses_nobody() -> None:
    way = Way()
    posts = Posts(Posting(400, lambda: way.now_s), way.post)
    posts.submit(range(10_000))
    await asyncio.sleep(0)
    assert len(way.on_it) == LEAST
    assert await way.arrive(0.05) == 400
    assert await way.arrive(0.05) == 400
    assert await way.arrive(0.001) == LEAST
    while way.on_it:
        assert await way.arrive(0.001) <= LEAST
    await posts.all_finished()


async def test_what_is_broken_off_makes_room_for_the_next() -> None:
    way = Way()
    posting = Posting(10, lambda: way.now_s)
    broken, kept = Posts(posting, way.post), Posts(posting, way.post)
    broken.submit(range(10))
    kept.submit(range(10))
    await asyncio.sleep(0)
    assert len(way.on_it) == 10
    broken.cancel()
    way.on_it.clear()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(way.on_it) == 10
    await way.arrive(0.05)
    await kept.all_finished()


async def test_a_turn_may_ask_for_more_while_few_wait_and_not_before() -> None:
    way = Way()
    posts = Posts(Posting(100, lambda: way.now_s), way.post)
    posts.submit(range(200))
    room = asyncio.create_task(posts.room())
    await asyncio.sleep(0)
    assert len(way.on_it) == 100
    assert not room.done(), "a hundred wait"
    answered, way.on_it = way.on_it[:75], way.on_it[75:]
    for each in answered[:-1]:
        each.set_result(True)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not room.done(), "one more than a quarter of what may be on the wire"
    answered[-1].set_result(True)
    await asyncio.wait_for(room, 1)
    await way.arrive(0.001)
    await way.arrive(0.001)
    await posts.all_finished()


async def test_room_is_there_for_all_turns_at_once_and_for_one_of_which_nobody_waits() -> None:
    way = Way()
    posting = Posting(100, lambda: way.now_s)
    first, second, idle = Posts(posting, way.post), Posts(posting, way.post), Posts(posting, way.post)
    first.submit(range(150))
    second.submit(range(30))
    both = [asyncio.create_task(posts.room()) for posts in (first, second)]
    await idle.room()
    await asyncio.sleep(0)
    assert not any(room.done() for room in both)
    assert len(second.withdraw()) == 30, "who leaves makes room for itself"
    await asyncio.wait_for(both[1], 1)
    assert not both[0].done()
    await way.arrive(0.001)
    await asyncio.wait_for(both[0], 1)
    await way.arrive(0.001)
    await first.all_finished()
