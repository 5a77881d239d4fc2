"""Who is who: numbers and user ids of one person, and what follows when they turn out to be one.

A number stands for itself. A user id (business-scoped, or of a parent business) belongs to the person with whose number it
was seen, and is a person of its own until then. A number that was given up leads to the new one for whatever was said
before; later it is somebody else's.
So news may come late, twice and in any order: each is judged by its own time, and all orders end with the same people.

Source: Meta, "Business-scoped user ids", and "Messages webhooks" (system messages), read 2026-09.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from dispatcher.domain.ids import PersonKey

_USER_ID = re.compile(r"[A-Z]{2}\.(ENT\.)?[A-Za-z0-9]{1,128}")


class Sighting(NamedTuple):
    """Ids that one piece of news gives to one person; at least one."""

    at: datetime
    key: PersonKey | None
    """Of the number; None where it is hidden."""
    person: str | None
    """The number itself, E.164."""
    user_ids: Sequence[str] = ()
    """The present one first."""
    moved_to: PersonKey | None = None
    """The key of the number that the person has from now on."""
    moved_to_person: str | None = None


class Identity(NamedTuple):
    """To whom an id belongs."""

    key: PersonKey
    person: str | None
    linked_at: datetime
    """Of the latest news by which the number is this person's; where none is known, by which the id is."""
    until: datetime | None = None
    """Of a number that was given up."""


class Merge(NamedTuple):
    """Everything that is known of `former` belongs to `key`."""

    former: PersonKey
    key: PersonKey
    person: str | None
    at: datetime
    """Of the news that told it."""
    linked_at: datetime
    """Of the news by which `key` is the person's."""

    def applied_to(self, identity: Identity) -> Identity:
        """What becomes of an id of `former`."""
        # An id that was a person of its own has no news of a number yet; one that had a number keeps the latest.
        linked_at = self.linked_at if self.until is None else max(identity.linked_at, self.linked_at)
        return Identity(self.key, self.person, linked_at, identity.until)

    @property
    def until(self) -> datetime | None:
        """Only what was said until then, where `former` is a number that somebody else may have later; None: all of it."""
        return self.at if _is_number(self.former) else None


class Known(NamedTuple):
    """A person as news is kept under."""

    key: PersonKey
    person: str | None
    """The number, E.164; None where only a user id is known."""

    @property
    def shown(self) -> str:
        """The number, or else the user id."""
        return self.person or self.key


class Met(NamedTuple):
    """What came of a batch of sightings."""

    known: Sequence[Known]
    """Who each of them is, in their order."""
    merges: Sequence[Merge]


class Acquaintances:
    """What is known of ids, and what a batch of sightings adds to it. `met` and `merges` are what is to be written down."""

    def __init__(self, known: Mapping[str, Identity]) -> None:
        """known: of all ids in the batch those that have an identity."""
        self._known = dict(known)
        self.met: dict[str, Identity] = {}
        self.merges: list[Merge] = []

    def meet(self, seen: Sighting) -> Known:
        """Who it is. Sightings of a batch come in the order of their time."""
        found = [self._known[each] for each in seen.user_ids if each in self._known]
        own = self._of_number(seen)
        if own is not None:
            # Where an id is known with another number, the later news has the right one.
            later = (each for each in found if _is_number(each.key) and each.linked_at > seen.at)
            who = max(later, key=_linked_at, default=Identity(own.key, own.person, seen.at))
        elif found:
            who = max(found, key=lambda each: (_is_number(each.key), each.linked_at))
        else:
            who = Identity(PersonKey(seen.user_ids[0]), None, seen.at)
        formers = dict.fromkeys([*(each.key for each in found), *([own.key] if own else [])])
        for former in formers:
            self._merge(former, who, seen.at)
        for user_id in seen.user_ids:
            if user_id not in self._known:
                self._learn(user_id, Identity(who.key, who.person, who.linked_at))
        if seen.moved_to is not None:
            there = self._of_number(Sighting(seen.at, seen.moved_to, seen.moved_to_person))
            assert there is not None
            self._merge(who.key, Identity(there.key, there.person, seen.at), seen.at)
            return there
        return Known(who.key, who.person)

    def _of_number(self, seen: Sighting) -> Known | None:
        if seen.key is None:
            return None
        given_up = self._known.get(seen.key)
        if given_up is not None and given_up.until is not None and seen.at <= given_up.until:
            return Known(given_up.key, given_up.person)
        return Known(seen.key, seen.person)

    def _merge(self, former: PersonKey, who: Identity, at: datetime) -> None:
        if former == who.key:
            return
        merge = Merge(former, who.key, who.person, at, who.linked_at)
        self.merges.append(merge)
        for each, identity in self._known.items():
            if identity.key == former and (merge.until is None or identity.linked_at <= merge.until):
                self._learn(each, merge.applied_to(identity))
        if merge.until is not None:
            self._learn(former, Identity(who.key, who.person, who.linked_at, merge.until))

    def _learn(self, id_: str, identity: Identity) -> None:
        self._known[id_] = self.met[id_] = identity


def is_user_id(text: str) -> bool:
    """Whether this has the shape of a business-scoped user id, such as ``US.7000000000000000001``."""
    return _USER_ID.fullmatch(text) is not None


def _is_number(key: PersonKey) -> bool:
    return key.startswith("+")


def _linked_at(identity: Identity) -> datetime:
    return identity.linked_at
