"""An answer that is kept, so that a repeated call gets it again and changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from dispatcher.domain.access import KeyId

KEPT = timedelta(hours=48)
"""For at least so long a repetition finds its answer; half of it is promised."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call that creates something, as its caller names it."""

    key_id: KeyId
    idempotency_key: str
    fingerprint: bytes
    """SHA-256 of what was asked: another question under the same name is a mistake."""


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """What it was answered."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
