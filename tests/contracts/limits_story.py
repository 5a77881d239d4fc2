"""A pool's life in Redis and in the model at once: what can happen in it, and the record of what was let through.

Two senders with three lanes each share a tier or do not. The ledger is the list of posts. Time has two faces: the clock,
which may be set back, and the true time, by which the properties are judged.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count, cycle

from fakeredis import FakeAsyncRedis, FakeServer
from limits_builders import ManualMs
from limits_model import MESSAGE, LimitsModel, Rank, SenderModel

from dispatcher.domain.errors import EpochLost
from dispatcher.domain.grant import Ask, Grant, Granted, Reached, SenderLimits, TurnPass
from dispatcher.domain.hold import Hold, HoldReason
from dispatcher.domain.ids import LaneId, MessageId, PersonKey, PoolKey, SenderId, TurnId
from dispatcher.domain.reach import LimitScope, Tier
from dispatcher.limits import RedisLimits

DAY_MS, PAIR_INTERVAL_MS, PAIR_BURST = 60_000, 6_000, 2
START = datetime(1970, 1, 1, tzinfo=UTC)
POOL = PoolKey("pool")
WEIGHTS = {1: 1, 2: 3, 3: 1}
"""Lane → weight."""

Lane = tuple[int, int]
"""Sender, lane."""
People = Sequence[tuple[str, bool]]
"""Person, and whether he costs reach."""


@dataclass(frozen=True)
class Asked:
    lane: Lane
    people: tuple[int, ...]
    free: int
    """Position of one who is inside a service window, if there is such a position."""
    is_reply: bool


@dataclass(frozen=True)
class Passed:
    ms: int


@dataclass(frozen=True)
class SetBack:
    """The clock, not the time."""

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
    sender: int
    ms: int


@dataclass(frozen=True)
class SlowedDown:
    sender: int
    granted_ago_ms: int | None


@dataclass(frozen=True)
class CameIn:
    sender: int
    messages: int


@dataclass(frozen=True)
class Barred:
    sender: int
    person: int
    ms: int


@dataclass(frozen=True)
class Flushed:
    pass


@dataclass(frozen=True)
class Waited:
    """Wait exactly as long as the last answer said, and ask for the rest again."""


def tier(limit: int | None) -> Tier:
    return Tier(limit, str(limit))


def ms_of(at: datetime | None) -> int:
    assert at is not None, "a refusal always carries a time"
    return (at - START) // timedelta(milliseconds=1)


@dataclass
class Post:
    """A granted message."""

    ms: int
    """By the clock."""
    true_ms: int
    lane: Lane
    person: str
    counts: bool
    """Whether the person was outside any service window."""
    tier: int | None
    scope: LimitScope
    granted: Granted
    memory: int
    """How often Redis had lost its memory before."""
    may_be_overfull: bool
    """Whether the tier was lowered before, or began to be shared: more people may have been reached than it allows."""
    was_posted: bool = True
    """False once it was given back unposted: the receiver never saw it."""
    undone_after: int | None = None
    """How many posts there were when Meta had not taken it, or it was given back unposted; None: it stands."""


class Story:
    """See above. Every answer is compared with the model's at once."""

    def __init__(self, senders: Sequence[SenderLimits], priorities: Sequence[int]) -> None:
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
        self.senders = {int(sender.sender_id): sender for sender in senders}
        modelled = {
            id_: SenderModel(s.rate.milli_per_s, s.burst, s.reserve, self.clock())
            for id_, s in self.senders.items()
        }
        self.ranks = {
            lane: Rank(weight, priority)
            for (lane, weight), priority in zip(WEIGHTS.items(), priorities, strict=True)
        }
        limit = senders[0].tier.limit
        self.model = LimitsModel(DAY_MS, PAIR_INTERVAL_MS, PAIR_BURST, limit, modelled, self.ranks)
        self.posts: list[Post] = []
        self.bars: list[tuple[int, int, int, str, int]] = []
        """From, until (true ms), sender, person, memory."""
        self.losses = self.set_back_ms = 0
        self.may_be_overfull = False
        self.ids = count(1)
        self.looked_at = cycle(self.senders)
        self.last: tuple[Asked, People, Grant] | None = None
        self.turns: dict[Lane, TurnPass] = {}

    @property
    def true_ms(self) -> int:
        return self.clock() + self.set_back_ms

    @property
    def limit(self) -> int | None:
        return self.model.tier

    async def ledger(self) -> AsyncIterator[Sequence[Reached]]:
        for (sender_id, person), ms in self.last_messaged().items():
            yield [Reached(SenderId(sender_id), PersonKey(person), START + timedelta(milliseconds=ms))]

    def last_messaged(self) -> dict[tuple[int, str], int]:
        standing = [post for post in self.posts if post.counts and post.undone_after is None]
        return {(post.lane[0], post.person): post.ms for post in standing}

    async def begin(self) -> None:
        """New turns for all lanes, after a rebuild where one is needed."""
        try:
            await self._open_turns()
        except EpochLost:
            await self.limits.rebuild(POOL, [*self.senders.values()], self.ledger())
            self.model.put(self.clock())
            self.model.counted_anew(self.last_messaged())
            await self._open_turns()

    async def _open_turns(self) -> None:
        for sender_id, sender in self.senders.items():
            for lane, rank in self.ranks.items():
                turn_id, lane_id = TurnId(next(self.ids)), LaneId(lane)
                turn = await self.limits.open_turn(POOL, sender.sender_id, lane_id, turn_id, *rank)
                self.turns[sender_id, lane] = turn

    async def ask(self, asked: Asked, people: People) -> Grant:
        asks = [Ask(MessageId(next(self.ids)), PersonKey(person), costs) for person, costs in people]
        try:
            grant = await self.limits.grant(self.turns[asked.lane], asks, is_reply=asked.is_reply)
        except EpochLost:  # people who were not counted matter again
            await self.begin()
            grant = await self.limits.grant(self.turns[asked.lane], asks, is_reply=asked.is_reply)
        now, (sender_id, lane) = self.clock(), asked.lane
        expected = self.model.grant(now, sender_id, lane, people, is_reply=asked.is_reply)
        assert [granted.message_id for granted in grant.go] == [asks[i].message_id for i in expected.go]
        assert {wait.message_id: ms_of(wait.until) for wait in grant.waits} == {
            asks[i].message_id: ms for i, ms in expected.waits.items()
        }
        hold = (grant.hold.reason.value, ms_of(grant.hold.until)) if grant.hold else None
        assert hold == expected.hold
        costs_of = {ask.message_id: ask.costs_reach for ask in asks}
        self.posts += [
            Post(
                now,
                self.true_ms,
                asked.lane,
                granted.person,
                costs_of[granted.message_id],
                self.limit,
                self.senders[sender_id].scope,
                granted,
                self.losses,
                self.may_be_overfull,
            )
            for granted in grant.go
        ]
        self.last = (asked, people, grant)
        return grant

    async def agrees(self) -> None:
        """What Redis tells of a sender is what the model knows of it; one sender after the other, for each costs time."""
        now, sender_id = self.clock(), next(self.looked_at)
        try:
            usage = await self.limits.usage(self.senders[sender_id])
        except EpochLost:
            return
        s = replace(self.model.senders[sender_id])
        s.passes(now)
        assert usage.rate.milli_per_s == s.rate_at(now)
        assert usage.rate_level == s.level // MESSAGE
        assert usage.reserve == s.reserve(now)
        if self.limit is not None:
            tokens = self.model.pool_tokens if self.model.is_portfolio else s.tokens
            assert usage.reach_used == sum(end > now for end in tokens.values())

    async def take(self, step: object) -> None:
        if isinstance(step, Asked):
            await self.ask(step, [(f"+{n}", position != step.free) for position, n in enumerate(step.people)])
            return
        last, self.last = self.last, None
        match step:
            case Passed(ms):
                self.clock.ms += ms
            case SetBack(ms):
                self.clock.ms -= ms
                self.set_back_ms += ms
            case GivenBack(which, posted):
                await self.give_back(which, posted=posted)
            case TierIs(limit):
                self.may_be_overfull |= limit is not None and (self.limit is None or limit < self.limit)
                self.model.tier = limit
                await self.put(tier=tier(limit))
            case ScopeIs(scope):
                self.may_be_overfull |= scope is LimitScope.PORTFOLIO
                await self.put(scope=scope)
                self.model.scope_is(is_portfolio=scope is LimitScope.PORTFOLIO)
            case HeldFor(sender_id, ms):
                self.model.senders[sender_id].hold_ends = self.clock() + ms
                until = self.clock.now + timedelta(milliseconds=ms)
                sender = self.senders[sender_id]
                self.senders[sender_id] = replace(sender, hold=Hold(HoldReason.SENDER_HELD, until))
                await self.put()
            case SlowedDown(sender_id, ago_ms):
                at_ms = None if ago_ms is None else self.clock() - ago_ms
                at = None if at_ms is None else START + timedelta(milliseconds=at_ms)
                halved = await self.limits.slow_down(SenderId(sender_id), POOL, at)
                assert halved == self.model.senders[sender_id].slow_down(self.clock(), at_ms)
            case CameIn(sender_id, messages):
                await self.limits.count_inbound(POOL, SenderId(sender_id), messages)
                self.model.senders[sender_id].count_inbound(self.clock(), messages)
            case Barred(sender_id, person, ms):
                await self.bar(sender_id, f"+{person}", ms)
            case Flushed():
                await self.redis.flushall()
                self.losses += 1
                self.model.lost(self.clock())
                await self.begin()
            case Waited() if last is not None and last[2].hold is not None:
                await self.wait(*last)

    async def put(self, **changes: Tier | LimitScope) -> None:
        for sender_id, sender in self.senders.items():
            self.senders[sender_id] = replace(sender, **changes)  # type: ignore[arg-type]
            await self.limits.put_sender(self.senders[sender_id])
        self.model.put(self.clock())

    async def bar(self, sender_id: int, person: str, ms: int) -> None:
        until = self.clock.now + timedelta(milliseconds=ms)
        await self.limits.back_off_pair(POOL, SenderId(sender_id), PersonKey(person), until)
        barred = self.model.senders[sender_id].barred
        barred[person] = max(barred.get(person, 0), self.clock() + ms)
        self.bars.append((self.true_ms, self.true_ms + ms, sender_id, person, self.losses))

    async def give_back(self, which: int, *, posted: bool) -> None:
        recent = [post for post in self.posts[-6:] if post.undone_after is None]
        if which >= len(recent):
            return
        post, now, token = recent[which], self.clock(), recent[which].granted.reach
        turn, sender_id = self.turns[post.lane], post.lane[0]
        if posted:
            await self.limits.give_back(turn, [], [token] if token else [])
        elif await self.was_handed(turn, post):
            post.was_posted = False
            await self.limits.give_back(turn, [post.granted], [])
        else:
            return
        post.undone_after = len(self.posts)
        if token:
            before = (token.before_sender_ms, token.before_pool_ms)
            self.model.restore(now, sender_id, post.person, token.until_ms, before, posted=posted)

    async def was_handed(self, turn: TurnPass, post: Post) -> bool:
        """Only messages of the present turn can be given back as unposted."""
        key = f"disp:model:{{{POOL}}}:handed:{turn.turn_id}"
        handed = await self.redis.get(key) or b""
        return str(post.granted.message_id) in handed.decode().split()

    async def wait(self, asked: Asked, people: People, grant: Grant) -> None:
        assert grant.hold is not None
        gone = {granted.person for granted in grant.go}
        rest = [(person, costs) for person, costs in people if person not in gone]
        self.clock.ms = ms_of(grant.hold.until)
        sender = self.model.senders[asked.lane[0]]
        rivals = any(lane != asked.lane[1] and until > self.clock() for lane, until in sender.hungry.items())
        again = await self.ask(asked, rest)
        if grant.hold.reason in {HoldReason.RATE, HoldReason.TIER_EXHAUSTED} and (
            asked.is_reply or not rivals
        ):
            assert again.go, "waiting exactly so long was not enough"
