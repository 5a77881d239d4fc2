"""The service window: until when free-form replies to a person are allowed.

A window belongs to one person and one sender. It ends 24 hours after the person last wrote or called; outside of it only
templates go. It is a value that only moves up: windows are joined, so that late, doubled and reordered messages end alike.
All times are moments, not readings of a clock on a wall: no change of the hour, there or here, moves an end.

Whoever came by an ad or a Page's button, and is answered within a day, is free of charge for 72 hours from the answer on.
That is a matter of price: it does not lengthen the window.

Source: Meta, "Customer service windows" and "Pricing on the WhatsApp Business Platform" (free entry points), read 2026-09.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple, Self

SERVICE_WINDOW = timedelta(hours=24)
ANSWER_WITHIN = timedelta(hours=24)
"""Whoever came by a free entry point has to be answered within this time for the messages to be free."""
FREE_ENTRY = timedelta(hours=72)

_SILENT_KINDS = frozenset({"system", "edit", "revoke"})
"""Notices of Meta, and changes to what was written before. Meta's pages name no kind that does not open a window; these say
nothing new to the business, so the strict reading is taken."""


class ServiceWindow(NamedTuple):
    """How long replies are allowed. `a | b` is the longer of both."""

    ends_at: datetime | None = None
    """Aware UTC; None: it was never open."""

    def __or__(self, other: Self) -> Self:
        """What both together allow. Commutative, associative, idempotent."""
        if self.ends_at is None or other.ends_at is None:
            return other if self.ends_at is None else self
        return max(self, other, key=_end)

    def is_open(self, now: datetime) -> bool:
        """Whether a reply may be posted now; at its very end it is closed."""
        return self.ends_at is not None and now < self.ends_at


def opened(at: datetime, received_at: datetime) -> ServiceWindow:
    """The window that a message or a call opens.

    at: when it was sent, by Meta's clock. received_at: when we first heard of it, by ours; nobody writes later than that,
    so a time from the future opens nothing for longer.
    """
    return ServiceWindow(min(at, received_at) + SERVICE_WINDOW)


def opens_window(kind: str, *, in_group: bool = False, takes_back: bool = False) -> bool:
    """Whether a message of this kind, Meta's `type`, opens the writer's window.

    in_group: said to a group, whose window is not the person's. takes_back: a reaction that is removed.
    Kinds that nobody knows yet do: the person has written something.
    """
    return kind not in _SILENT_KINDS and not in_group and not takes_back


def free_until(came_at: datetime, answered_at: datetime | None) -> datetime | None:
    """Until when messages are free of charge for a person who came by a free entry point; None: they are not.

    answered_at: of our first message after that; None: not yet.
    """
    if answered_at is None or not came_at <= answered_at <= came_at + ANSWER_WITHIN:
        return None
    return answered_at + FREE_ENTRY


def _end(window: ServiceWindow) -> datetime:
    assert window.ends_at is not None
    return window.ends_at
