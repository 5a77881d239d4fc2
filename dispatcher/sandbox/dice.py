"""Draws what happens to each post, by the behaviour that counts now and a seed.

All chance of posts comes from one generator, and a post draws from it only when some share is set. Webhooks have
a generator of their own, so that reporting a message changes nothing about the posts after it.
"""

import random
from itertools import accumulate

from .behaviour import Behaviour, Fault
from .weather import Weather


class Dice:
    """One generator over the behaviour of now."""

    def __init__(self, weather: Weather, seed: int | None) -> None:
        """seed: the same seed draws the same sequence; None differs each time."""
        self._weather = weather
        self._random = random.Random(seed)
        self._behaviour: Behaviour | None = None

    def seed(self, seed: int) -> None:
        """Start the sequence of this seed."""
        self._random.seed(seed)

    @property
    def is_plain(self) -> bool:
        """Whether every post is answered honestly and at once."""
        behaviour = self._look()
        return not self._marks and behaviour.latency.is_none

    def fate(self) -> Fault | int | None:
        """A fault, a code to refuse with, or None: an honest answer."""
        self._look()
        if not self._marks:
            return None
        drawn = self._random.random()
        return next((fate for mark, fate in self._marks if drawn < mark), None)

    def latency_s(self) -> float:
        """Seconds to wait before the answer."""
        return self._look().latency.draw_ms(self._random) / 1000

    def _look(self) -> Behaviour:
        """The behaviour of now, with its shares laid end to end when it is another than before."""
        behaviour = self._weather.behaviour
        if behaviour is not self._behaviour:
            fates: list[Fault | int] = [*behaviour.faults, *behaviour.errors]
            marks = accumulate([*behaviour.faults.values(), *behaviour.errors.values()])
            self._marks = list(zip(marks, fates, strict=True))
            self._behaviour = behaviour
        return behaviour
