"""What a sink has seen: how many messages, which of them twice, and how fast each number sent them.

Pure bookkeeping, with the receiver's own clock and its own arithmetic: nothing here knows how a sender decides.
A message is known by its person and our token without the attempt, so that a second attempt counts as a duplicate too: this
receiver refuses nothing, and nobody has a reason to come again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

BIN_MS = 100
"""Arrivals of a number are counted per so many milliseconds, from the first arrival of all on."""

_ROUNDING = 1e-6
"""Messages that a sum of floating-point numbers may be off: being ahead by no more than that is no violation."""

_TO = b'"to":"'
_TOKEN = b'"biz_opaque_callback_data":"'


class Tally:
    """Counts of one run."""

    def __init__(self) -> None:
        self.accepted = 0
        self.duplicates = 0
        self.unreadable = 0
        """Posts without a person or a token: not ours."""
        self.first_s: float | None = None
        """When the first message came, by the machine's monotonic clock."""
        self.last_s: float | None = None
        # why hashes: a million of them take 70 MB, the tokens themselves three times as much; the odds that two of a
        # million share one are 1 in 37 million.
        self._seen: set[int] = set()
        self.replies: dict[int, float] = {}
        """Number of a reply → when it came, first. Replies are the messages of campaign 0."""
        self._bins: defaultdict[bytes, defaultdict[int, int]] = defaultdict(lambda: defaultdict(int))

    def take(self, number: bytes, body: bytes, now_s: float) -> bytes | None:
        """Count one post. Returns the person it is for, or None when it cannot be read."""
        to, token = _text(body, _TO), _text(body, _TOKEN)
        if not to or not token:
            self.unreadable += 1
            return None
        message = hash((to, token.rpartition(b".")[0]))
        if message in self._seen:
            self.duplicates += 1
        self._seen.add(message)
        if b".0." in token:
            self.replies.setdefault(int(token.split(b".")[2]), now_s)
        if self.first_s is None:
            self.first_s = now_s
        self.last_s = now_s
        self.accepted += 1
        self._bins[number][int((now_s - self.first_s) * 1_000) // BIN_MS] += 1
        return to

    def report(self, *, rate_per_s: float | None = None, burst: float = 0.0) -> dict[str, Any]:
        """Everything as JSON has it; with a rate, also how each number kept to it.

        `most_over`: by how many messages a number was at worst ahead of rate x time, over all spans of whole bins.
        `violations`: in how many bins some span that was ahead by more than `burst` ended.
        """
        told: dict[str, Any] = {
            "accepted": self.accepted,
            "duplicates": self.duplicates,
            "unreadable": self.unreadable,
            "first_s": self.first_s,
            "last_s": self.last_s,
            "numbers": {number.decode(): sum(bins.values()) for number, bins in self._bins.items()},
        }
        if rate_per_s is not None:
            kept = [_judge(bins, rate_per_s * BIN_MS / 1_000, burst) for bins in self._bins.values()]
            told["most_over"] = round(max((over for over, _ in kept), default=0.0), 1)
            told["violations"] = sum(count for _, count in kept)
        return told

    def share_of(self, rate_per_s: float, seconds: float) -> float:
        """How much of what a rate allows all numbers together took within so many seconds of the first message."""
        end = seconds * 1_000 / BIN_MS
        within = sum(count for bins in self._bins.values() for at, count in bins.items() if at < end)
        return within / (rate_per_s * seconds)


def _judge(bins: Mapping[int, int], allowed_per_bin: float, burst: float) -> tuple[float, int]:
    """The most messages that any span was ahead of its rate, and how many bins ended a span that was too far ahead.

    A bucket lets `burst + rate x time` through in any span of time, so no span of whole bins may hold more.
    The worst span that ends in a bin is the worst that ended in the bin before, prolonged, or begins here.
    """
    worst = over = 0.0
    violations = 0
    last = None
    for at in sorted(bins):
        idle = 0 if last is None else at - last - 1
        over = max(0.0, over - idle * allowed_per_bin) + bins[at] - allowed_per_bin
        worst = max(worst, over)
        violations += over > burst + _ROUNDING
        over, last = max(0.0, over), at
    return worst, violations


def _text(body: bytes, before: bytes) -> bytes:
    """The JSON string that follows; ours hold no escapes."""
    start = body.find(before)
    if start < 0:
        return b""
    start += len(before)
    return body[start : body.find(b'"', start)]
