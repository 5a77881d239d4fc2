"""Reach: how many people a sender or portfolio may open a conversation with in a rolling day.

Tiers are numbered differently by different guides, so a tier is its *limit*; level numbers are only for show.
Source: Meta, "Messaging limits" (WhatsApp Business Platform), read 2026-09; older per-number tiers as still reported by partners.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Self

from dispatcher.domain.errors import BadValue

DAY = timedelta(hours=24)

UNLIMITED = None
"""A limit of None: no reach token is ever taken."""


class LimitScope(StrEnum):
    """Whose people are counted."""

    SENDER = "sender"
    """Each number has a tier of its own."""
    PORTFOLIO = "portfolio"
    """All numbers of a business portfolio share one tier; so Meta since 2025-10-07."""


_NAMED: dict[str, int | None] = {
    "TIER_50": 50,
    "TIER_250": 250,
    "TIER_1K": 1_000,
    "TIER_2K": 2_000,
    "TIER_10K": 10_000,
    "TIER_100K": 100_000,
    "TIER_UNLIMITED": UNLIMITED,
    "UNLIMITED": UNLIMITED,
    "-1": UNLIMITED,
    "MESSAGING_LIMIT_TIER_0": 50,
    "MESSAGING_LIMIT_TIER_1": 1_000,
    "MESSAGING_LIMIT_TIER_2": 10_000,
    "MESSAGING_LIMIT_TIER_3": 100_000,
    "MESSAGING_LIMIT_TIER_4": UNLIMITED,
    "TIER_NOT_SET": 250,
}
"""Meta's strings. TIER_NOT_SET: no message sent yet, so the lowest tier of a new number."""

GROWTH_TOP = 100_000
"""The growth guide's last tier is "100,000 and more"."""

_LEVELS: dict[str, tuple[int | None, ...]] = {
    "growth": (250, 1_000, 10_000, GROWTH_TOP),
    "status": (1_000, 10_000, 100_000, UNLIMITED),
}
"""Limits of Tier 1 to 4 in the two guides' numbering."""


@dataclass(frozen=True, slots=True)
class Tier:
    """A messaging limit: distinct people per rolling 24 hours, or None for unlimited."""

    limit: int | None
    label: str
    """Meta's string where it gave one, such as TIER_1K; otherwise the limit as text."""

    @classmethod
    def parse(cls, text: str | int) -> Self:
        """Read a tier string of Meta, a number (also as text), or "unlimited". Raises BadValue."""
        label = str(text).strip().upper()
        if label in _NAMED:
            return cls(_NAMED[label], label)
        digits = label.replace(",", "").replace("_", "")
        if digits.isdecimal() and int(digits) > 0:
            return cls(int(digits), digits)
        if match := re.fullmatch(r"TIER_(\d+)(K|M)?", label):
            return cls(int(match[1]) * {"K": 1_000, "M": 1_000_000}.get(match[2], 1), label)
        raise BadValue(f"{text!r} is not a tier; use TIER_1K, a number of people, or unlimited")

    def level(self, scheme: str) -> int | None:
        """The tier's number in the "growth" or the "status" guide; None where that guide has none for it."""
        limits = _LEVELS[scheme]
        if scheme == "growth" and (self.limit is None or self.limit > GROWTH_TOP):
            return len(limits)
        return limits.index(self.limit) + 1 if self.limit in limits else None

    def __str__(self) -> str:
        return "unlimited" if self.limit is UNLIMITED else f"{self.limit:,}"
