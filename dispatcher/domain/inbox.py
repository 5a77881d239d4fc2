"""A webhook body on its way in, and what is put aside of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Body:
    """One request of Meta, byte for byte."""

    received_at: datetime
    content: bytes


@dataclass(frozen=True, slots=True)
class PutAside:
    """A body, or a piece of one, that could not be used now."""

    received_at: datetime
    reason: str
    """From a small closed set; see `docs/webhooks.md`."""
    detail: str
    """For people."""
    content: bytes
    """A webhook body again, so that it can be replayed."""
    retry_at: datetime | None = None
    """When it is looked at again by itself; None: when an operator replays it."""


@dataclass(frozen=True, slots=True)
class Quarantined:
    """What lies in quarantine."""

    id: int
    at: datetime
    """When it was put aside."""
    piece: PutAside


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits in the inbox."""

    bodies: int
    oldest: datetime | None
    """When the oldest of them came in; None when nothing waits."""
