"""Between the house's aware datetimes and the integer milliseconds of Redis. Exact both ways, to the millisecond."""

from __future__ import annotations

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
