"""Delivers updates to the callback: each when it is due, in POSTs, until one is answered with 200.

At least once and in no order, as Meta does: several POSTs are under way at once, and one that fails comes again
later and later. What travels badly on purpose (lost, late, twice) is drawn when an update is added. Memory is bounded:
a waiting update is a few hundred bytes, its JSON is made when it travels, and beyond `PENDING_MAX` nothing is taken.

No task runs while nothing is due. A timer waits for the next update; a courier is a task that carries POSTs for as
long as any is due, and there are at most as many as the behaviour has connections.
"""

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count
from secrets import randbelow
from time import perf_counter

from ..weather import Weather
from ..world import SandboxWorld
from .body import body_of
from .callback import Callback
from .line import Line
from .tally import Tally
from .updates import Update

PENDING_MAX = 500_000
"""Updates that may wait: about 400 bytes each, so 200 MB."""

_CHALLENGE_BELOW = 2**31


@dataclass(slots=True)
class _Parcel:
    """Updates that travel together, again and again if need be."""

    updates: tuple[Update, ...]
    first_ms: int
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class Answered:
    """What the receiver said to one request. `status` None: nothing."""

    status: int | None
    body: bytes
    ms: float


class Deliveries:
    """All that is still to be reported, and the couriers who carry it."""

    def __init__(self, world: SandboxWorld, weather: Weather, seed: int | None) -> None:
        """world says where webhooks go. seed: repeats what is drawn, not the order in which POSTs arrive."""
        self._world = world
        self._weather = weather
        self.chance = random.Random()
        if seed is not None:
            self.seed(seed)
        self.tally = Tally()
        self._due: list[tuple[int, int, Update | _Parcel]] = []
        self._serials = count()
        self._timer: tuple[int, asyncio.TimerHandle] | None = None
        self._couriers: set[asyncio.Task[None]] = set()
        self._lines: list[Line] = []
        self._idle = asyncio.Event()
        self._idle.set()
        self._on_answer: dict[int, tuple[Update, Callable[[int], None]]] = {}
        """By identity, since many updates are alike; each is kept as long as it is looked for."""

    def seed(self, seed: int) -> None:
        """Draw the sequence of this seed from now on: another than `Dice` draws from the same one."""
        self.chance.seed(f"webhooks {seed}")

    @property
    def scoped_ids(self) -> bool:
        """Whether the shape of 2026 is in use."""
        return self._weather.behaviour.webhooks.scoped_ids

    def add(self, update: Update, due_ms: int, on_answer: Callable[[int], None] | None = None) -> None:
        """Report this when it is due, or as badly as the behaviour of now wants it.

        on_answer: told the time in milliseconds at which a POST with it was first answered with 200.
        """
        webhooks = self._weather.behaviour.webhooks
        self.tally.planned += 1
        if self.tally.pending >= PENDING_MAX:
            self.tally.overflowed += 1
            return
        if self._happens(webhooks.lost_share):
            self.tally.lost += 1
            return
        if self._happens(webhooks.late_share):
            due_ms += int(webhooks.late_by.draw_ms(self.chance))
        if on_answer is not None:
            self._on_answer[id(update)] = update, on_answer
        self._push(update, due_ms)
        if self._happens(webhooks.duplicate_share):
            self.tally.duplicates += 1
            self._push(update, due_ms + int(webhooks.duplicate_after.draw_ms(self.chance)))

    def reset(self) -> None:
        """Forget everything that is pending, and the counters; what is under way is not counted any more."""
        self._due.clear()
        self._on_answer.clear()
        self.tally = Tally()
        self._idle.set()

    def give_up(self) -> None:
        """Give up everything that is pending: there is no callback any more."""
        for _, _, what in self._due:
            self._settle(len(what.updates) if isinstance(what, _Parcel) else 1, given_up=True)
        self._due.clear()
        self._on_answer.clear()

    async def wait_idle(self, within_s: float) -> bool:
        """Whether nothing is pending, now or within so many seconds."""
        try:
            async with asyncio.timeout(within_s):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True

    async def ask_once(self, callback: Callback, request: bytes) -> Answered:
        """Make one request of any kind, outside all counters and without another attempt."""
        line = self._line(callback)
        try:
            return await self._ask(line, request)
        finally:
            self._lines.append(line)

    async def verify(self, callback: Callback) -> tuple[Answered, bool]:
        """The handshake: whether the receiver knows the token and repeats a challenge."""
        challenge = str(randbelow(_CHALLENGE_BELOW))
        answered = await self.ask_once(callback, callback.verification(challenge))
        return answered, answered.status == 200 and answered.body == challenge.encode()

    async def close(self) -> None:
        """End the couriers and their connections."""
        if self._timer is not None:
            self._timer[1].cancel()
        for courier in self._couriers:
            courier.cancel()
        await asyncio.gather(*self._couriers, return_exceptions=True)
        while self._lines:
            self._lines.pop().close()

    def _happens(self, share: float) -> bool:
        return share > 0 and self.chance.random() < share

    def _push(self, update: Update, due_ms: int) -> None:
        self.tally.pending += 1
        self._idle.clear()
        heappush(self._due, (due_ms, next(self._serials), update))
        self._wake_at(due_ms)

    def _wake_at(self, due_ms: int) -> None:
        """Have the timer ring then, or earlier."""
        if self._timer is not None:
            if self._timer[0] <= due_ms:
                return
            self._timer[1].cancel()
        wait_s = max(0, due_ms - self._weather.clock_ms()) / 1000
        self._timer = due_ms, asyncio.get_running_loop().call_later(wait_s, self._ring)

    def _ring(self) -> None:
        self._timer = None
        self._stir()

    def _stir(self) -> None:
        """Give what is due to couriers, and wait for what is not."""
        connections = self._weather.behaviour.webhooks.connections
        while len(self._couriers) < connections and (parcel := self._take()) is not None:
            courier = asyncio.get_running_loop().create_task(self._carry(parcel))
            self._couriers.add(courier)
            courier.add_done_callback(self._come_home)
        if self._due and len(self._couriers) < connections:
            self._wake_at(self._due[0][0])

    def _come_home(self, courier: "asyncio.Task[None]") -> None:
        self._couriers.discard(courier)
        if not courier.cancelled():
            courier.result()
            self._stir()

    def _take(self) -> _Parcel | None:
        """What is due now and travels together; None when nothing is due."""
        now_ms, most = self._weather.clock_ms(), self._weather.behaviour.webhooks.updates_per_post
        updates: list[Update] = []
        while self._due and self._due[0][0] <= now_ms and len(updates) < most:
            what = self._due[0][2]
            if isinstance(what, _Parcel):
                if not updates:
                    heappop(self._due)
                    return what
                break
            heappop(self._due)
            updates.append(what)
        return _Parcel(tuple(updates), now_ms) if updates else None

    async def _carry(self, parcel: _Parcel | None) -> None:
        """Deliver parcels while any is due."""
        while parcel is not None:
            await self._deliver(parcel)
            parcel = self._take()

    async def _deliver(self, parcel: _Parcel) -> None:
        """One attempt, and what follows from it."""
        tally, callback = self.tally, self._world.callback
        webhooks = self._weather.behaviour.webhooks
        status = None
        if callback is not None:
            tally.posts += 1
            tally.posts_retried += parcel.attempts > 0
            parcel.attempts += 1
            body = body_of(
                parcel.updates, scoped_ids=webhooks.scoped_ids, per_entry=webhooks.statuses_per_entry
            )
            answered = await self.ask_once(callback, callback.post(body))
            status = answered.status
            tally.count_answer(status, answered.ms)
        if tally is not self.tally:
            return  # why: a reset came meanwhile, and nobody asks for this one any more.
        if status == 200:
            tally.delivered_by_kind.update(update.kind for update in parcel.updates)
            if self._on_answer:
                self._say_answered(parcel)
            self._settle(len(parcel.updates))
            return
        wait_s = min(webhooks.retry_after_s * 2.0 ** (parcel.attempts - 1), webhooks.retry_at_most_s)
        due_ms = self._weather.clock_ms() + int(wait_s * 1000)
        if self._world.callback is None or due_ms > parcel.first_ms + webhooks.retry_for_s * 1000:
            self._settle(len(parcel.updates), given_up=True)
        else:
            heappush(self._due, (due_ms, next(self._serials), parcel))

    def _say_answered(self, parcel: _Parcel) -> None:
        now_ms = self._weather.clock_ms()
        for update in parcel.updates:
            if (told := self._on_answer.pop(id(update), None)) is not None:
                told[1](now_ms)

    def _settle(self, updates: int, *, given_up: bool = False) -> None:
        """These are not pending any more."""
        self.tally.pending -= updates
        if given_up:
            self.tally.given_up += updates
        else:
            self.tally.delivered += updates
        if self.tally.pending == 0:
            self._idle.set()

    async def _ask(self, line: Line, request: bytes) -> Answered:
        started_s = perf_counter()
        status, body = None, b""
        with suppress(OSError):
            status, body = await line.send(request, self._weather.behaviour.webhooks.timeout_s)
        return Answered(status, body, (perf_counter() - started_s) * 1000)

    def _line(self, callback: Callback) -> Line:
        """A free connection to this receiver, or a new one."""
        while self._lines:
            line = self._lines.pop()
            if line.callback is callback:
                return line
            line.close()
        return Line(callback)
