"""What people said to numbers, and when the receiver had answered for it: their side of the record.

The record of accepted messages tells what a person got; this tells what they had said by then.
"""

from collections import deque
from dataclasses import dataclass

from .world import Person

_KEPT = 100_000


@dataclass(slots=True)
class Saying:
    """One message, preference or change of number."""

    at_ms: int
    phone_number_id: str
    person: Person
    kind: str
    """Meta's `type` of a message; "preference", "moved"."""
    text: str
    """The words, the label of a button, the preference, the new number; empty where there are none."""
    id: str
    """The message's wamid; empty for what is no message."""
    answered_at_ms: int | None = None
    """When a POST that told of it was first answered with 200; None: not yet."""

    def answered(self, at_ms: int) -> None:
        """The receiver knows it."""
        if self.answered_at_ms is None:
            self.answered_at_ms = at_ms

    def shown(self) -> dict[str, object]:
        """As the console shows it."""
        return {
            "at_ms": self.at_ms,
            "phone_number_id": self.phone_number_id,
            "person": str(self.person),
            "kind": self.kind,
            "text": self.text,
            "id": self.id,
            "answered_at_ms": self.answered_at_ms,
        }


class Sayings:
    """The latest of all that was said."""

    def __init__(self) -> None:
        """Nothing was said yet."""
        self._sayings: deque[Saying] = deque(maxlen=_KEPT)

    def note(self, saying: Saying) -> Saying:
        """Write it down."""
        self._sayings.append(saying)
        return saying

    def reset(self) -> None:
        """Forget it all."""
        self._sayings.clear()

    def shown(self) -> list[dict[str, object]]:
        """Everything, oldest first."""
        return [saying.shown() for saying in self._sayings]
