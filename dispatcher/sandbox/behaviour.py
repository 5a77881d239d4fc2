"""How the sandbox misbehaves: latency, chosen errors, connections that break.

Off unless asked for. All chance comes from one seeded generator, and a post draws from it only when some
share is set. What a fault does to a connection is the server's business (`graph`); here it is only drawn.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import accumulate


class Fault(StrEnum):
    """What may happen to a post instead of an answer."""

    CLOSED_UNREAD = "closed_unread"
    """The connection breaks before the body is read. Not accepted."""
    CLOSED_ACCEPTED = "closed_accepted"
    """The message is accepted, then the connection breaks without an answer."""
    SILENT_ACCEPTED = "silent_accepted"
    """The message is accepted and no answer ever comes: the client's time-out ends it."""
    BARE_5XX = "bare_5xx"
    """HTTP 502 without a body. Not accepted."""
    BARE_5XX_ACCEPTED = "bare_5xx_accepted"
    """HTTP 502 without a body, after the message was accepted: only the record tells the difference."""


class LatencyShape(StrEnum):
    """How answers spread in time."""

    FIXED = "fixed"
    """Always `ms`."""
    UNIFORM = "uniform"
    """Between `ms` and `to_ms`."""
    LOGNORMAL = "lognormal"
    """Around a median of `ms`, with a long tail: `sigma` is its spread."""


@dataclass(frozen=True, slots=True)
class Latency:
    """Time between a post and its answer. What is judged is the moment the post came in."""

    shape: LatencyShape = LatencyShape.FIXED
    ms: float = 0.0
    to_ms: float = 0.0
    sigma: float = 0.4


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What to do to posts, as shares of all posts between 0 and 1; together at most 1."""

    latency: Latency = Latency()
    errors: Mapping[int, float] = field(default_factory=dict)
    """Share of otherwise acceptable posts that are refused with this code."""
    faults: Mapping[Fault, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse shares that do not add up. Raises ValueError."""
        shares = [*self.errors.values(), *self.faults.values()]
        if any(share < 0 for share in shares) or sum(shares) > 1:
            raise ValueError("shares of errors and faults are at least 0 and add up to at most 1")


class Dice:
    """Draws what happens to each post, by a behaviour and a seed."""

    def __init__(self, behaviour: Behaviour, seed: int | None) -> None:
        """seed: the same seed draws the same sequence; None differs each time."""
        self._random = random.Random(seed)
        self.use(behaviour)

    def use(self, behaviour: Behaviour) -> None:
        """Follow another behaviour from the next post on."""
        self.behaviour = behaviour
        fates: list[Fault | int] = [*behaviour.faults, *behaviour.errors]
        marks = accumulate([*behaviour.faults.values(), *behaviour.errors.values()])
        self._marks = list(zip(marks, fates, strict=True))

    @property
    def is_plain(self) -> bool:
        """Whether every post is answered honestly and at once."""
        latency = self.behaviour.latency
        return not self._marks and latency.ms == 0 and latency.to_ms == 0

    def fate(self) -> Fault | int | None:
        """A fault, a code to refuse with, or None: an honest answer."""
        if not self._marks:
            return None
        drawn = self._random.random()
        return next((fate for mark, fate in self._marks if drawn < mark), None)

    def latency_s(self) -> float:
        """Seconds to wait before the answer."""
        latency = self.behaviour.latency
        match latency.shape:
            case LatencyShape.FIXED:
                return latency.ms / 1000
            case LatencyShape.UNIFORM:
                return self._random.uniform(latency.ms, latency.to_ms) / 1000
            case LatencyShape.LOGNORMAL:
                return latency.ms * self._random.lognormvariate(0, latency.sigma) / 1000
