"""The limits of one sender with one lane, once more: plain Python, slow and obvious.

Shares nothing with the Lua but the rules: what it says is compared with what Redis says, answer by answer.
All times in milliseconds, the bucket in millionths of a message.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

MESSAGE = 1_000_000


def ceil_div(amount: int, by: int) -> int:
    return -(-amount // by)


@dataclass
class Answer:
    """Positions that go, position → time for a pair that must wait, and the hold on the rest."""

    go: list[int] = field(default_factory=list)
    waits: dict[int, int] = field(default_factory=dict)
    hold: tuple[str, int | None] | None = None


@dataclass
class LimitsModel:
    day: int
    interval: int
    pair_burst: int
    rate: int
    """Thousandths of a message per second."""
    burst: int
    reserve: int
    tier: int | None
    held_until: int | None = None
    level: int = 0
    at: int = 0
    tokens: dict[str, int] = field(default_factory=dict)
    arrivals: dict[str, int] = field(default_factory=dict)

    def rebuilt(self, now: int, last_messaged: dict[str, int]) -> None:
        """The memory was lost: empty bucket, people from the ledger, debts only as far as their tokens tell."""
        self.level, self.at, self.arrivals = 0, now, {}
        self.counted_anew(last_messaged)

    def counted_anew(self, last_messaged: dict[str, int]) -> None:
        for person, at in last_messaged.items():
            self.tokens[person] = max(self.tokens.get(person, 0), at + self.day)

    def passes(self, now: int) -> None:
        self.level = min(self.burst * MESSAGE, self.level + (now - self.at) * self.rate)
        self.at = now
        self.tokens = {person: end for person, end in self.tokens.items() if end > now}

    def grant(self, now: int, asks: Sequence[tuple[str, bool]]) -> Answer:
        """asks: person, and whether he costs reach."""
        answer = Answer()
        if self.held_until is not None and self.held_until > now:
            answer.hold = ("sender_held", self.held_until)
            return answer
        self.passes(now)
        floor = self.reserve * MESSAGE
        tier_full = False
        for position, (person, costs) in enumerate(asks):
            counts = costs and self.tier is not None
            if counts and person not in self.tokens and len(self.tokens) >= (self.tier or 0):
                tier_full = True
                continue
            arrival = max(now, self.arrival(now, person))
            free_at = arrival - (self.pair_burst - 1) * self.interval
            if free_at > now:
                answer.waits[position] = free_at
                continue
            if self.level < floor + MESSAGE:
                waiting = max(
                    1,
                    min(len(asks) - len(answer.go), self.rate * 20 // MESSAGE, self.burst - self.reserve),
                )
                answer.hold = ("rate", now + ceil_div(floor + waiting * MESSAGE - self.level, self.rate))
                break
            self.level -= MESSAGE
            if arrival > now or not counts:
                self.arrivals[person] = arrival + self.interval
            if counts:
                self.tokens[person] = max(now + self.day, self.tokens.get(person, 0) + 1)
            answer.go.append(position)
        if tier_full and answer.hold is None:
            assert self.tier
            token_back = sorted(self.tokens.values())[len(self.tokens) - self.tier]
            message_ready = now + max(0, ceil_div(floor + MESSAGE - self.level, self.rate))
            answer.hold = ("tier_exhausted", max(token_back, message_ready))
        return answer

    def arrival(self, now: int, person: str) -> int:
        """When the next message to the person would be due; what is written down counts before what a token tells."""
        written = self.arrivals.get(person, 0)
        return written if written > now else self.tokens.get(person, 0) - self.day + self.interval

    def unposted(self, now: int, person: str) -> None:
        """A granted message was never written to the wire; its reach token is restored apart."""
        self.passes(now)
        self.level = min(self.burst * MESSAGE, self.level + MESSAGE)
        self.arrivals[person] = self.arrivals.get(person, 0) - self.interval

    def restore(self, now: int, person: str, end: int, before: int, *, posted: bool) -> None:
        """A reach token comes back, if it is the latest; the debt of a posted message stays."""
        if self.tokens.get(person) != end:
            return
        if posted and self.arrivals.get(person, 0) <= now:
            self.arrivals[person] = end - self.day + self.interval
        del self.tokens[person]
        if before > now:
            self.tokens[person] = before
