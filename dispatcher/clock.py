"""The system clock; the only place that reads it."""

from __future__ import annotations

import time
from datetime import UTC, datetime


class SystemClock:
    """Time as the machine knows it."""

    def now(self) -> datetime:
        """Aware UTC."""
        return datetime.now(UTC)

    monotonic = staticmethod(time.monotonic)
    """Seconds that never go back. No method of ours around it, for it is asked with each message."""
