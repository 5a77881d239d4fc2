"""A speed as a value: `Rate("80/s")`.

Kept as whole thousandths of a message per second, because the limits in Redis count in integers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from dispatcher.domain.errors import BadValue

_SECONDS = {"s": 1, "sec": 1, "second": 1, "m": 60, "min": 60, "minute": 60, "h": 3600, "hour": 3600}
_FORM = re.compile(r"\s*(\d+(?:\.\d+)?)\s*/\s*([a-z]+)\s*")


@dataclass(frozen=True, slots=True, order=True)
class Rate:
    """Messages per time."""

    milli_per_s: int
    """Thousandths of a message per second; at least 1."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read "80/s", "600/min" or "0.5/s". Raises BadValue."""
        match = _FORM.fullmatch(text.lower())
        if match is None or match[2] not in _SECONDS:
            raise BadValue(f"{text!r} is not a rate; write it like 80/s, 600/min or 1000/h")
        return cls.of(float(match[1]) / _SECONDS[match[2]])

    @classmethod
    def of(cls, per_s: float) -> Self:
        """A rate from messages per second; raises BadValue below one message in 1,000 seconds."""
        milli = round(per_s * 1000)
        if milli < 1:
            raise BadValue(f"a rate of {per_s}/s is below the smallest possible, 0.001/s")
        return cls(milli)

    @property
    def per_s(self) -> float:
        """Messages per second."""
        return self.milli_per_s / 1000

    def __str__(self) -> str:
        return f"{self.per_s:g}/s"
