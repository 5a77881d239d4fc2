"""Redis against the model, under arbitrary times, batches, give-backs, tiers, holds and losses of memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count

from fakeredis import FakeAsyncRedis, FakeServer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from limits_builders import ManualMs
from limits_model import LimitsModel

from dispatcher.domain.errors import EpochLost
from dispatcher.domain.grant import Ask, Grant, Granted, Reached, SenderLimits, TurnPass
from dispatcher.domain.hold import Hold, HoldReason
from dispatcher.domain.ids import LaneId, MessageId, PersonKey, PoolKey, SenderId, TurnId
from dispatcher.domain.rate import Rate
from dispatcher.domain.reach import LimitScope, Tier
from dispatcher.limits import RedisLimits

DAY_MS, PAIR_INTERVAL_MS, PAIR_BURST = 60_000, 6_000, 2
START = datetime(1970, 1, 1, tzinfo=UTC)
POOL, SENDER, LANE = PoolKey("pool"), SenderId(1), LaneId(1)


@dataclass(frozen=True)
class Asked:
    people: tuple[int, ...]
    free: int
    """Position of one who is inside a service window, if there is such a position."""


@dataclass(frozen=True)
class Passed:
    ms: int


@dataclass(frozen=True)
class GivenBack:
    which: int
    posted: bool


@dataclass(frozen=True)
class TierIs:
    limit: int | None


@dataclass(frozen=True)
class ScopeIs:
    scope: LimitScope


@dataclass(frozen=True)
class HeldFor:
    ms: int


@dataclass(frozen=True)
class Flushed:
    pass


@dataclass(frozen=True)
class Waited:
    """Wait exactly as long as the last answer said, and ask for the rest again."""


people = st.lists(st.integers(0, 6), min_size=1, max_size=6, unique=True).map(tuple)
asked = st.builds(Asked, people, st.one_of(st.just(99), st.integers(0, 5)))
briefly = st.builds(Passed, st.integers(0, 300))
steps = st.lists(
    st.one_of(
        asked,
        asked,
        asked,
        briefly,
        briefly,
        st.builds(Passed, st.integers(0, DAY_MS)),
        st.builds(GivenBack, st.integers(0, 5), st.booleans()),
        st.builds(TierIs, st.one_of(st.none(), st.integers(1, 5))),
        st.builds(ScopeIs, st.sampled_from(LimitScope)),
        st.builds(HeldFor, st.integers(0, 500)),
        st.just(Flushed()),
        st.just(Waited()),
        st.just(Waited()),
    ),
    min_size=5,
    max_size=30,
)
senders = st.builds(
    lambda rate, reserve, room, limit: SenderLimits(
        SENDER, POOL, Rate(rate), reserve + room, reserve, tier(limit), LimitScope.SENDER, None
    ),
    st.sampled_from([700, 5_000, 80_000, 333_333]),
    st.integers(0, 2),
    st.integers(1, 15),
    st.one_of(st.none(), st.integers(1, 5)),
)


def tier(limit: int | None) -> Tier:
    return Tier(limit, str(limit))


@dataclass
class Post:
    """A granted message that was not undone: what the receiver would see."""

    ms: int
    person: str
    counts: bool
    """Whether the person was outside any service window."""
    tier: int | None
    granted: Granted
    memory: int
    """How often Redis had lost its memory before."""
    delivered: bool = True


class Story:
    """One sender's life in Redis and in the model at once; the ledger is the list of posts."""

    def __init__(self, sender: SenderLimits) -> None:
        self.clock = ManualMs()
        self.redis = FakeAsyncRedis(server=FakeServer())
        self.limits = RedisLimits(
            self.redis,
            namespace="model",
            day=timedelta(milliseconds=DAY_MS),
            pair_interval=timedelta(milliseconds=PAIR_INTERVAL_MS),
            pair_burst=PAIR_BURST,
            now_ms=self.clock,
        )
        self.sender = sender
        self.model = LimitsModel(
            DAY_MS,
            PAIR_INTERVAL_MS,
            PAIR_BURST,
            sender.rate.milli_per_s,
            sender.burst,
            sender.reserve,
            sender.tier.limit,
            at=self.clock(),
        )
        self.posts: list[Post] = []
        self.losses = 0
        self.ids = count(1)
        self.last: tuple[list[tuple[str, bool]], Grant] | None = None
        self.turn: TurnPass

    async def ledger(self) -> AsyncIterator[Sequence[Reached]]:
        for person, ms in self.last_messaged().items():
            yield [Reached(SENDER, PersonKey(person), START + timedelta(milliseconds=ms))]

    def last_messaged(self) -> dict[str, int]:
        last: dict[str, int] = {}
        for post in self.posts:
            if post.counts and post.delivered:
                last[post.person] = post.ms
        return last

    async def begin(self) -> None:
        try:
            self.turn = await self.limits.open_turn(POOL, SENDER, LANE, TurnId(next(self.ids)), 1)
        except EpochLost:
            await self.limits.rebuild(POOL, [self.sender], self.ledger())
            self.turn = await self.limits.open_turn(POOL, SENDER, LANE, TurnId(next(self.ids)), 1)

    async def ask(self, people: list[tuple[str, bool]]) -> Grant:
        asks = [Ask(MessageId(next(self.ids)), PersonKey(person), costs) for person, costs in people]
        try:
            grant = await self.limits.grant(self.turn, asks)
        except (
            EpochLost
        ):  # people who were not counted matter again: the model learns of them in the same way
            await self.begin()
            self.model.counted_anew(self.last_messaged())
            grant = await self.limits.grant(self.turn, asks)
        now = self.clock()
        expected = self.model.grant(now, people)
        assert [granted.message_id for granted in grant.go] == [asks[i].message_id for i in expected.go]
        assert {wait.message_id: wait.until for wait in grant.waits} == {
            asks[i].message_id: START + timedelta(milliseconds=ms) for i, ms in expected.waits.items()
        }
        if grant.hold is None:
            assert expected.hold is None
        else:
            assert grant.hold.until is not None
            until_ms = (grant.hold.until - START) // timedelta(milliseconds=1)
            assert (grant.hold.reason.value, until_ms) == expected.hold
        costs_of = {ask.message_id: ask.costs_reach for ask in asks}
        self.posts += [
            Post(
                now,
                granted.person,
                costs_of[granted.message_id],
                self.sender.tier.limit,
                granted,
                self.losses,
            )
            for granted in grant.go
        ]
        self.last = (people, grant)
        return grant

    async def take(self, step: object) -> None:
        match step:
            case Asked(who, free):
                await self.ask([(f"+{n}", position != free) for position, n in enumerate(who)])
            case Passed(ms):
                self.clock.ms += ms
                self.last = None
            case GivenBack(which, posted):
                await self.give_back(which, posted=posted)
            case TierIs(limit):
                self.model.tier = limit
                await self.put(replace(self.sender, tier=tier(limit)))
            case ScopeIs(scope):
                await self.put(replace(self.sender, scope=scope))
            case HeldFor(ms):
                until = self.clock.now + timedelta(milliseconds=ms)
                self.model.held_until = self.clock() + ms
                await self.put(replace(self.sender, hold=Hold(HoldReason.SENDER_HELD, until)))
            case Flushed():
                await self.redis.flushall()
                self.losses += 1
                await self.begin()
                self.model.tokens = {}
                self.model.rebuilt(
                    self.clock(), {} if self.sender.tier.limit is None else self.last_messaged()
                )
                self.last = None
            case Waited() if self.last is not None and self.last[1].hold is not None:
                await self.wait(*self.last)

    async def put(self, sender: SenderLimits) -> None:
        self.sender = sender
        self.last = None
        await self.limits.put_sender(sender)

    async def give_back(self, which: int, *, posted: bool) -> None:
        recent = [post for post in self.posts[-6:] if post.delivered]
        if which >= len(recent):
            return
        post, now, token = recent[which], self.clock(), recent[which].granted.reach
        if posted:
            post.delivered = False
            await self.limits.give_back(self.turn, [], [token] if token else [])
        elif await self.was_handed(post):
            self.posts.remove(post)
            await self.limits.give_back(self.turn, [post.granted], [])
            self.model.unposted(now, post.person)
        else:
            return
        if token:
            self.model.restore(now, post.person, token.until_ms, token.before_sender_ms, posted=posted)
        self.last = None

    async def was_handed(self, post: Post) -> bool:
        """Only messages of the present turn can be given back as unposted."""
        key = f"disp:model:{{{POOL}}}:handed:{self.turn.turn_id}"
        return str(post.granted.message_id) in (await self.redis.get(key) or b"").decode().split()

    async def wait(self, people: list[tuple[str, bool]], grant: Grant) -> None:
        assert grant.hold is not None
        assert grant.hold.until is not None
        overfull = self.sender.tier.limit is not None and len(self.model.tokens) > self.sender.tier.limit
        gone = {granted.person for granted in grant.go}
        rest = [(person, costs) for person, costs in people if person not in gone]
        self.clock.reaches(grant.hold.until)
        again = await self.ask(rest)
        if grant.hold.reason is not HoldReason.SENDER_HELD and not overfull:
            assert again.go, "waiting exactly so long was not enough"

    async def rests_for_a_day(self) -> None:
        """Afterwards the tier is full again, to the last token."""
        self.clock.ms += DAY_MS + 1_000
        limit = self.sender.tier.limit
        if limit is None:
            return
        reached = 0
        for n in count():
            grant = await self.ask([(f"+new{n}", True)])
            if not grant.go:
                assert grant.hold is not None
                if grant.hold.reason is HoldReason.TIER_EXHAUSTED:
                    break
                assert grant.hold.until is not None
                self.clock.reaches(grant.hold.until)
            reached += len(grant.go)
        assert reached == limit or self.clock.ms - self.posts[-limit].ms >= DAY_MS

    def check_tier(self) -> None:
        """At each grant under a tier, so many people within the last day, and never more unless already there."""
        for i, post in enumerate(self.posts):
            if not (post.counts and post.delivered and post.tier is not None):
                continue
            day = [p for p in self.posts[:i] if p.counts and p.delivered and p.ms > post.ms - DAY_MS]
            reached = {p.person for p in day}
            assert post.person in reached or len(reached) < post.tier

    def check_pairs(self) -> None:
        """Between any two posts to one person, a burst and one per interval at most, while the memory lasted."""
        for i, first in enumerate(self.posts):
            between = 0
            for last in self.posts[i:]:
                if last.person == first.person and last.memory == first.memory:
                    between += 1
                    assert between <= PAIR_BURST + (last.ms - first.ms) // PAIR_INTERVAL_MS

    def check_rate(self) -> None:
        """Between any two posts, rate times time and one burst at most."""
        for i, first in enumerate(self.posts):
            for j, last in enumerate(self.posts[i:], 1):
                allowed = self.sender.burst * 1_000_000 + (last.ms - first.ms) * self.sender.rate.milli_per_s
                assert j * 1_000_000 <= allowed


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(senders, steps)
def test_redis_agrees_with_the_model_and_no_limit_is_ever_exceeded(
    sender: SenderLimits, steps: list[object]
) -> None:
    async def live() -> None:
        story = Story(sender)
        await story.begin()
        story.clock.ms += 30_000  # fills the bucket
        for step in steps:
            await story.take(step)
        story.check_tier()
        story.check_pairs()
        story.check_rate()
        await story.rests_for_a_day()
        await story.redis.aclose()

    asyncio.run(live())
