"""How much may go: the rate of a number, the pair limit, and the people a tier allows in a rolling day.

Exact integer arithmetic in milliseconds, written from the platform's rules alone. The clock is the
caller's: every method takes `now_ms`, which never goes back. Nothing here knows numbers or tiers by
name; `judge` asks first (`allows`) and spends (`spend`) only what it then accepts.

Source: Meta, "Throughput", "Rate limits" (pair rate limits) and "Messaging limits", read 2026-09.
"""

from collections import OrderedDict

from .world import Person


class RateBucket:
    """Messages a second, with room for one second's worth.

    Kept in thousandths of a message, so that `rate_per_s` thousandths flow in with each millisecond
    and no fraction is ever rounded.
    """

    __slots__ = ("_at_ms", "_thousandths")

    def __init__(self, rate_per_s: int, now_ms: int) -> None:
        """Start full."""
        self._thousandths = rate_per_s * 1000
        self._at_ms = now_ms

    def take(self, rate_per_s: int, now_ms: int) -> bool:
        """Spend one message and say True, or say False and spend nothing."""
        flowed_in = (now_ms - self._at_ms) * rate_per_s
        level = min(rate_per_s * 1000, self._thousandths + flowed_in)
        self._at_ms = now_ms
        taken = level >= 1000
        self._thousandths = level - 1000 if taken else level
        return taken


class PairLimit:
    """Messages from one number to one person: one an interval, and a burst borrowed from the time after.

    Kept per pair is only the moment its burst is whole again; a pair past that moment is forgotten,
    since it differs in nothing from one never seen.
    """

    __slots__ = ("_forget_above", "_whole_at_ms")

    def __init__(self) -> None:
        """Start with every pair's burst whole."""
        self._whole_at_ms: dict[tuple[str, Person], int] = {}
        self._forget_above = 4096

    def allows(self, pair: tuple[str, Person], now_ms: int, *, interval_ms: int, burst: int) -> bool:
        """Whether one more message of this pair fits now."""
        whole_at_ms = max(self._whole_at_ms.get(pair, 0), now_ms)
        return whole_at_ms - now_ms + interval_ms <= burst * interval_ms

    def spend(self, pair: tuple[str, Person], now_ms: int, *, interval_ms: int) -> None:
        """Count one accepted message of this pair."""
        self._whole_at_ms[pair] = max(self._whole_at_ms.get(pair, 0), now_ms) + interval_ms
        if len(self._whole_at_ms) > self._forget_above:
            self._whole_at_ms = {p: at for p, at in self._whole_at_ms.items() if at > now_ms}
            # why: twice what is left, so that tidying costs a constant share of each message.
            self._forget_above = max(4096, 2 * len(self._whole_at_ms))


class Reach:
    """The people a number or a portfolio has opened within the last day.

    A person counts from the last accepted message until exactly one day later; a further message within
    the day costs nothing and starts that day anew.
    """

    __slots__ = ("_last_at_ms",)

    def __init__(self) -> None:
        """Start with nobody reached."""
        self._last_at_ms: OrderedDict[Person, int] = OrderedDict()

    def count(self, now_ms: int, *, day_ms: int) -> int:
        """How many people count now."""
        people = self._last_at_ms
        while people:
            person, at_ms = next(iter(people.items()))
            if at_ms > now_ms - day_ms:
                break
            del people[person]
        return len(people)

    def allows(self, person: Person, limit: int | None, now_ms: int, *, day_ms: int) -> bool:
        """Whether this person may be opened now, under a limit of so many people (None: unlimited)."""
        if limit is None:
            return True
        reached = self.count(now_ms, day_ms=day_ms)
        return reached < limit or person in self._last_at_ms

    def spend(self, person: Person, now_ms: int) -> None:
        """Count an accepted message to this person."""
        self._last_at_ms[person] = now_ms
        self._last_at_ms.move_to_end(person)
