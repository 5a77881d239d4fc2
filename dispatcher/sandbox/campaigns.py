"""What the people of one campaign got, from the receiver's side: who twice, and by whose will.

A second acceptance is a duplicate whatever the sender meant by it. Why it may have come is told apart, so that a judge
can: an attempt with a higher number was made knowingly, and after messages that all fail it reaches nobody twice.
"""

from .world import Person


class CampaignSeen:
    """One campaign's messages and people. Sets of the few and dicts of the many, for millions of either."""

    __slots__ = (
        "_attempts",
        "_failing",
        "_people",
        "_twice",
        "_unreached",
        "accepted",
        "duplicates",
        "resent_after_failure",
        "resent_attempts",
    )

    def __init__(self) -> None:
        """Start with nobody seen."""
        self.accepted = self.duplicates = self.resent_attempts = self.resent_after_failure = 0
        self._attempts: dict[str, int] = {}  # message: its highest attempt
        self._failing: set[str] = set()  # messages of which every one so far is bound to fail
        self._people: set[Person] = set()
        self._unreached: set[Person] = set()  # people for whom every message so far is bound to fail
        self._twice: set[Person] = set()

    def accept(
        self, message: str, attempt: int, person: Person, *, fails: bool, once_per_person: bool
    ) -> bool:
        """Count one accepted message; whether it is a duplicate.

        fails: it will be reported as failed. once_per_person: a second one to its person is one too many.
        """
        self.accepted += 1
        highest = self._attempts.get(message)
        is_known = once_per_person and person in self._people
        if highest is not None:
            self.resent_attempts += attempt > highest
            self.resent_after_failure += attempt > highest and message in self._failing
        if is_known and not fails and person not in self._unreached:
            self._twice.add(person)
        if fails:
            if highest is None:
                self._failing.add(message)
            if once_per_person and not is_known:
                self._unreached.add(person)
        else:
            self._failing.discard(message)
            if once_per_person:
                self._unreached.discard(person)
        self._attempts[message] = attempt if highest is None else max(attempt, highest)
        if once_per_person:
            self._people.add(person)
        is_duplicate = highest is not None or is_known
        self.duplicates += is_duplicate
        return is_duplicate

    def shown(self) -> dict[str, int]:
        """As the console shows it."""
        return {
            "accepted": self.accepted,
            "messages": len(self._attempts),
            "people": len(self._people),
            "people_reached": len(self._people) - len(self._unreached),
            "people_reached_twice": len(self._twice),
            "duplicates": self.duplicates,
            "resent_attempts": self.resent_attempts,
            "resent_after_failure": self.resent_after_failure,
        }
