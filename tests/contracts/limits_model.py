"""The limits of a pool once more: plain Python, slow and obvious.

Shares nothing with the Lua but the rules: what it says is compared with what Redis says, answer by answer.
All times in milliseconds, buckets in millionths of a message, rates in thousandths of a message per second.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

MESSAGE = 1_000_000
STEP, INCIDENT, TAU = 5_000, 2_000, 10_000
GRACE, CONTENT_GRACE, SLICE, OUTRANKED = 3_000, 250, 50, 20


def ceil_div(amount: int, by: int) -> int:
    return -(-amount // by)


class Rank(NamedTuple):
    """How a lane stands among those of its sender."""

    weight: int
    priority: int = 0


@dataclass
class Answer:
    """Positions that go, position → time for a pair that must wait, and the hold on the rest."""

    go: list[int] = field(default_factory=list)
    waits: dict[int, int] = field(default_factory=dict)
    hold: tuple[str, int] | None = None


@dataclass
class SenderModel:
    """One sender's rate bucket, people, pairs and lanes."""

    rate: int
    burst: int
    configured_reserve: int
    at: int
    level: int = 0
    hold_ends: int = 0
    """As ordered; told to the limits with each `put`, unless it is over then."""
    held_until: int = 0
    sixteenths: int = 16
    """What the last halving left of the rate, at `slowed_at`."""
    slowed_at: int | None = None
    inbound: int = 0
    inbound_at: int = 0
    tokens: dict[str, int] = field(default_factory=dict)
    arrivals: dict[str, int] = field(default_factory=dict)
    barred: dict[str, int] = field(default_factory=dict)
    hungry: dict[int, int] = field(default_factory=dict)
    served: dict[int, int] = field(default_factory=dict)

    def rate_at(self, now: int) -> int:
        if self.slowed_at is None:
            return self.rate
        steps = max(0, now - self.slowed_at) // STEP
        return max(min(self.rate, 1_000), self.rate * min(16, self.sixteenths + steps) // 16)

    def passes(self, now: int) -> None:
        """Refill, each span of time at the rate that was in force."""
        changes = [] if self.slowed_at is None else [self.slowed_at + n * STEP for n in range(1, 17)]
        for end in [*(change for change in changes if self.at < change < now), now]:
            self.level += max(0, end - self.at) * self.rate_at(self.at)
            self.at = end
        self.level = min(self.level, self.burst * MESSAGE)
        if self.slowed_at is not None:
            self.slowed_at = min(self.slowed_at, now)

    def slow_down(self, now: int, granted_at: int | None) -> bool:
        if self.slowed_at is not None:
            if 0 <= now - self.slowed_at < INCIDENT:
                return False
            if granted_at is not None and granted_at <= self.slowed_at:
                return False
        self.passes(now)
        steps = 0 if self.slowed_at is None else (now - self.slowed_at) // STEP
        self.sixteenths, self.slowed_at = max(1, min(16, self.sixteenths + steps) // 2), now
        self.level = min(self.level, -1_000 * self.rate_at(now))
        return True

    def count_inbound(self, now: int, messages: int) -> None:
        self.passes(now)
        deepest = -1_000 * self.rate_at(now)
        self.level = max(self.level - messages * MESSAGE, min(self.level, deepest))
        since = max(0, now - self.inbound_at) if self.inbound_at else 0
        self.inbound = math.floor(self.inbound * TAU / (TAU + since) + messages * MESSAGE / (TAU + since))
        self.inbound_at = now

    def reserve(self, now: int) -> int:
        if not self.inbound_at:
            return self.configured_reserve
        inbound = self.inbound * TAU / (TAU + max(0, now - self.inbound_at))
        wanted = math.floor(inbound * self.burst / self.rate_at(now) + 0.5)
        return max(self.configured_reserve, min(wanted, self.burst // 2))

    def free_at(self, person: str, now: int, day: int, interval: int, pair_burst: int) -> int:
        arrival = self.arrival(person, now, day, interval)
        return max(arrival - (pair_burst - 1) * interval, self.barred.get(person, 0))

    def arrival(self, person: str, now: int, day: int, interval: int) -> int:
        """When the next message to the person would be due; what is written down counts before what a token tells."""
        implied = self.tokens.get(person, 0) - day + interval
        return max(now, self.arrivals.get(person, implied))


@dataclass
class LimitsModel:
    """A pool of senders that have tier and scope in common."""

    day: int
    interval: int
    pair_burst: int
    tier: int | None
    senders: dict[int, SenderModel]
    ranks: Mapping[int, Rank]
    """Of each lane, the same on all senders."""
    is_portfolio: bool = False
    pool_tokens: dict[str, int] = field(default_factory=dict)

    def lost(self, now: int) -> None:
        """Nothing is remembered but what was configured."""
        self.pool_tokens = {}
        for sender_id, was in self.senders.items():
            fresh = SenderModel(was.rate, was.burst, was.configured_reserve, now, hold_ends=was.hold_ends)
            self.senders[sender_id] = fresh

    def counted_anew(self, last_messaged: dict[tuple[int, str], int]) -> None:
        if self.tier is None:
            return
        for (sender_id, person), at in last_messaged.items():
            for tokens in (self.senders[sender_id].tokens, self.pool_tokens):
                tokens[person] = max(tokens.get(person, 0), at + self.day)

    def put(self, now: int) -> None:
        for sender in self.senders.values():
            sender.passes(now)
            sender.held_until = sender.hold_ends if sender.hold_ends > now else 0

    def scope_is(self, *, is_portfolio: bool) -> None:
        if is_portfolio and not self.is_portfolio:
            for sender in self.senders.values():
                for person, end in sender.tokens.items():
                    self.pool_tokens[person] = max(end, self.pool_tokens.get(person, 0))
        self.is_portfolio = is_portfolio

    def grant(
        self,
        now: int,
        sender_id: int,
        lane_id: int,
        asks: Sequence[tuple[str, bool]],
        *,
        is_reply: bool = False,
    ) -> Answer:
        """asks: person, and whether he costs reach."""
        s, answer = self.senders[sender_id], Answer()
        if s.held_until > now:
            answer.hold = ("sender_held", s.held_until)
            return answer
        s.passes(now)
        self._forget(now, s, with_lanes=not is_reply)
        tokens = self.pool_tokens if self.is_portfolio else s.tokens
        rate, reserve = s.rate_at(now), 0 if is_reply else s.reserve(now)
        floor, (weight, priority) = reserve * MESSAGE, self.ranks[lane_id]
        was_hungry = lane_id in s.hungry and not is_reply
        rivals = [other for other in s.hungry if other != lane_id and not is_reply]
        mine, least, share = 0, 0, len(asks)
        quantum, step = max(1, rate // 4_000), MESSAGE // weight
        pace = step
        above = [self.ranks[other] for other in rivals if self.ranks[other].priority > priority]
        if above:
            pace = MESSAGE // min(rank.weight for rank in above)
            quantum, step = 1, OUTRANKED * pace
        if rivals:
            least = min(s.served.get(other, 0) for other in rivals)
            mine = s.served.get(lane_id, 0)
            if not was_hungry:
                mine = max(mine, least)
            share = quantum + (least - mine) // step
        tier_full, short = False, ""
        for position, (person, costs) in enumerate(asks):
            counts = costs and self.tier is not None
            reached = len(tokens) + (person not in tokens)
            if counts and reached > (self.tier or 0):
                tier_full = True
                continue
            free_at = s.free_at(person, now, self.day, self.interval, self.pair_burst)
            if free_at > now:
                answer.waits[position] = free_at
                continue
            if len(answer.go) >= share:
                short = "fair_share"
                break
            if s.level < floor + MESSAGE:
                short = "rate"
                break
            s.level -= MESSAGE
            arrival = s.arrival(person, now, self.day, self.interval)
            if arrival > now or not counts:
                s.arrivals[person] = arrival + self.interval
            if counts:
                self._take(now, s, person)
            answer.go.append(position)
        granted = len(answer.go)
        ready = [now + max(0, ceil_div(floor + n * MESSAGE - s.level, rate)) for n in range(s.burst + 1)]
        if short == "rate":
            worthwhile = min(len(asks) - granted, rate * SLICE // MESSAGE, s.burst - reserve)
            answer.hold = ("rate", ready[max(1, worthwhile)])
        elif short == "fair_share":
            behind = mine + (granted + 1 - quantum) * step - least
            answer.hold = ("fair_share", now + max(SLICE, ceil_div(ceil_div(behind, pace) * MESSAGE, rate)))
        elif tier_full:
            assert self.tier
            token_back = sorted(tokens.values())[len(tokens) - self.tier]
            answer.hold = ("tier_exhausted", max(token_back, ready[1]))
        if not is_reply:
            if short and answer.hold:
                s.hungry[lane_id] = answer.hold[1] + GRACE
            elif was_hungry:
                s.hungry[lane_id] = min(s.hungry[lane_id], now + CONTENT_GRACE)
            s.served = {**s.served, lane_id: mine + granted * step} if rivals else {}
        return answer

    def _forget(self, now: int, s: SenderModel, *, with_lanes: bool) -> None:
        """What has ended is gone for good, also if the clock is set back later."""
        for ends in (s.tokens, s.arrivals, s.barred, *([self.pool_tokens] if self.is_portfolio else [])):
            for person in [person for person, end in ends.items() if end <= now]:
                del ends[person]
        if with_lanes:
            s.hungry = {lane: end for lane, end in s.hungry.items() if end > now}

    def _take(self, now: int, s: SenderModel, person: str) -> None:
        in_pool = self.pool_tokens.get(person, 0) if self.is_portfolio else 0
        end = max(now + self.day, s.tokens.get(person, -1) + 1, in_pool + 1)
        s.tokens[person] = end
        if self.is_portfolio:
            self.pool_tokens[person] = end

    def restore(
        self, now: int, sender_id: int, person: str, end: int, before: tuple[int, int], *, posted: bool
    ) -> None:
        """A reach token comes back where it is the latest; the debt of a posted message stays.

        before: what stood there among the sender's people and, or -1, among the pool's.
        """
        s = self.senders[sender_id]
        was_latest = s.tokens.get(person) == end
        for tokens, ended_before in zip((s.tokens, self.pool_tokens), before, strict=True):
            if ended_before >= 0 and tokens.get(person) == end:
                del tokens[person]
                if ended_before > now:
                    tokens[person] = ended_before
        arrival = end - self.day + self.interval
        if was_latest and posted and arrival > now:
            s.arrivals.setdefault(person, arrival)
