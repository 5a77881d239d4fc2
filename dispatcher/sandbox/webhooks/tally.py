"""Counts what became of webhooks.

An update is planned once; a duplicate is one more of it. So at every moment
``planned + duplicates = delivered + given_up + lost + overflowed + pending``, which tests hold it to.
"""

from collections import Counter, deque
from dataclasses import dataclass, field

_ANSWERS_KEPT = 10_000


@dataclass(slots=True)
class Tally:
    """Counters since the last reset, in updates unless they say POSTs."""

    planned: int = 0
    """Everything there was to report."""
    duplicates: int = 0
    """Reported once more on purpose."""
    lost: int = 0
    """Not reported on purpose."""
    overflowed: int = 0
    """Not reported because too many were pending already."""
    delivered: int = 0
    """In a POST that was answered with 200."""
    given_up: int = 0
    """In a POST that was not, for as long as it was tried, or that had nowhere to go any more."""
    pending: int = 0
    """Not due yet, waiting for a connection, under way or waiting for another attempt."""
    posts: int = 0
    """Attempts, in POSTs."""
    posts_retried: int = 0
    """Of these, second and later ones."""
    unanswered: int = 0
    """POSTs that ended without an answer: refused, broken, too slow."""
    answers: Counter[int] = field(default_factory=Counter)
    """POSTs by the status they were answered with."""
    delivered_by_kind: Counter[str] = field(default_factory=Counter)
    answer_ms: deque[float] = field(default_factory=lambda: deque(maxlen=_ANSWERS_KEPT))
    """How long the latest answers took, whatever they were."""

    def count_answer(self, status: int | None, ms: float) -> None:
        """One POST and what was said to it; None: nothing."""
        self.answer_ms.append(ms)
        if status is None:
            self.unanswered += 1
        else:
            self.answers[status] += 1

    def shown(self) -> dict[str, object]:
        """As the console shows it; answer times in milliseconds, None without any."""
        times = sorted(self.answer_ms)
        return {
            "planned": self.planned,
            "duplicates": self.duplicates,
            "lost": self.lost,
            "overflowed": self.overflowed,
            "delivered": self.delivered,
            "delivered_by_kind": dict(self.delivered_by_kind),
            "given_up": self.given_up,
            "pending": self.pending,
            "posts": {
                "all": self.posts,
                "retried": self.posts_retried,
                "unanswered": self.unanswered,
                "answers": {str(status): posts for status, posts in sorted(self.answers.items())},
            },
            "answer_ms": {"p50": _at(times, 0.5), "p99": _at(times, 0.99), "max": _at(times, 1)},
        }


def _at(times: list[float], share: float) -> float | None:
    """The time within which so many of the answers came, rounded to microseconds."""
    return round(times[min(int(share * len(times)), len(times) - 1)], 3) if times else None
