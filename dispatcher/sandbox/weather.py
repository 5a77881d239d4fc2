"""Which behaviour counts now: the lasting one, or that of a phase of bad weather.

A schedule is a list of phases on the sandbox's clock, so the same schedule gives the same storm each time, and a
test that moves the clock moves the weather. Nothing runs by itself: whoever asks looks at the clock.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise

from .behaviour import Behaviour

Clock = Callable[[], int]
"""Milliseconds since 1970, never going back."""


@dataclass(frozen=True, slots=True)
class Phase:
    """A behaviour from one moment on until, not including, another."""

    from_ms: int
    until_ms: int
    behaviour: Behaviour


class Weather:
    """The lasting behaviour and what is scheduled over it."""

    def __init__(self, lasting: Behaviour, clock_ms: Clock) -> None:
        """lasting: counts whenever no phase does."""
        self.lasting = lasting
        self.clock_ms = clock_ms
        self._phases: list[Phase] = []

    def schedule(self, phases: Iterable[Phase]) -> None:
        """Have these phases instead of those scheduled before. Raises ValueError when two overlap."""
        ordered = sorted(phases, key=lambda phase: phase.from_ms)
        if any(later.from_ms < earlier.until_ms for earlier, later in pairwise(ordered)):
            raise ValueError("phases of the weather overlap")
        self._phases = ordered

    @property
    def phases(self) -> list[Phase]:
        """What is to come, with the phase of now, in order."""
        now_ms = self.clock_ms()
        while self._phases and self._phases[0].until_ms <= now_ms:
            del self._phases[0]
        return self._phases

    @property
    def behaviour(self) -> Behaviour:
        """What counts now."""
        if not self._phases:
            return self.lasting
        phases = self.phases
        return phases[0].behaviour if phases and phases[0].from_ms <= self.clock_ms() else self.lasting
