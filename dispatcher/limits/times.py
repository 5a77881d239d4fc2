"""Between the house's aware datetimes and the integer milliseconds of Redis. Exact both ways, to the millisecond.

Redis decides by its own clock, a worker waits by its own, and hosts need not agree about the time. So what a wait is
told in crosses as a span, and `Moment` turns it into a time of the side that waits.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_START = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)


def to_ms(at: datetime) -> int:
    """Milliseconds since 1970, rounded up: what waits must not wake too early."""
    return -((_START - at) // _MS)


def from_ms(ms: int) -> datetime:
    """Aware UTC."""
    return _START + ms * _MS


def in_ms(span: timedelta) -> int:
    """Whole milliseconds of a span."""
    return span // _MS


def ms_until(at: datetime, now: datetime) -> int:
    """Milliseconds from `now` to `at`, rounded up; 0 when it has passed."""
    return max(0, -((now - at) // _MS))


@dataclass(frozen=True, slots=True)
class Moment:
    """One instant by two clocks.

    `here` is read when the answer has come, later than `there_ms` by the way back: a wait is never told too short.
    """

    here: datetime
    there_ms: int

    def ours(self, there_ms: int) -> datetime:
        """When our clock will show what theirs shows at `there_ms`."""
        return self.here + (there_ms - self.there_ms) * _MS
