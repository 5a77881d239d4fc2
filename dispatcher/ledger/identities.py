"""Who is who, in the ledger; the rules are in `domain/identity.py`, the statements in `sql/identities.sql`."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from datetime import datetime

from dispatcher.domain.conversation import Linked
from dispatcher.domain.identity import Acquaintances, Identity, Known, Merge, Met, Sighting
from dispatcher.domain.ids import PersonKey
from dispatcher.ledger.database import Session
from dispatcher.ledger.queries import load

SQL = load("identities")


class _LeadsElsewhere(Exception):
    """Somebody has joined a person with another meanwhile."""


class LedgerIdentities:
    """Part of the port `PeopleBook` on PostgreSQL."""

    def __init__(self, session: Session) -> None:
        self._db = session

    async def meet(self, sightings: Sequence[Sighting]) -> Met:
        """Who each of them is, in the order given, and who turned out to be one person.

        Until the transaction ends, nobody else decides about any of these ids.
        """
        acquaintances = Acquaintances(
            await self._locked({id_ for seen in sightings for id_ in _ids_of(seen)})
        )
        in_order = sorted(range(len(sightings)), key=lambda place: sightings[place].at)
        met = {place: acquaintances.meet(sightings[place]) for place in in_order}
        await self._write(acquaintances)
        # why once more: one that was met early may have turned out to be another's with a later sighting of the batch.
        known = [_after(acquaintances.merges, met[place], seen.at) for place, seen in enumerate(sightings)]
        return Met(known, acquaintances.merges)

    async def canonical(self, ids: Sequence[str]) -> Mapping[str, Known]:
        """For keys and user ids as an operator gives them: the person each stands for."""
        rows = await self._db.fetch(SQL["canonical"], ids)
        return {row["id"]: Known(PersonKey(row["person_key"]), row["person"]) for row in rows}

    async def of_person(self, key: PersonKey) -> Sequence[Linked]:
        """Every other id of a person."""
        return [Linked(**row) for row in await self._db.fetch(SQL["of_person"], key)]

    async def _locked(self, ids: set[str]) -> Mapping[str, Identity]:
        """What is known of these ids, with everybody else kept from them and from the people they lead to.

        Whom an id leads to may change until it is locked. Then all locks are let go and taken anew, so that they are always
        taken in one order.
        """
        known = await self._known(ids)
        while True:
            wanted = ids | {identity.key for identity in known.values()}
            with contextlib.suppress(_LeadsElsewhere):
                async with self._db.transaction():  # a savepoint: leaving it by an error lets its locks go
                    await self._db.execute(SQL["lock"], list(wanted))
                    known = await self._known(ids)
                    if not {identity.key for identity in known.values()} <= wanted:
                        raise _LeadsElsewhere
                return known

    async def _known(self, ids: set[str]) -> Mapping[str, Identity]:
        rows = await self._db.fetch(SQL["known"], list(ids))
        return {
            row["id"]: Identity(row["person_key"], row["person"], row["linked_at"], row["until"])
            for row in rows
        }

    async def _write(self, acquaintances: Acquaintances) -> None:
        for merge in acquaintances.merges:
            await self._db.execute(
                SQL["repoint"], merge.former, merge.key, merge.until, merge.person, merge.at
            )
        if acquaintances.met:
            columns = zip(
                *((id_, i.key, i.person, i.linked_at, i.until) for id_, i in acquaintances.met.items()),
                strict=True,
            )
            await self._db.execute(SQL["learn"], *map(list, columns))


def _ids_of(seen: Sighting) -> Sequence[str]:
    return [*seen.user_ids, *(key for key in (seen.key, seen.moved_to) if key is not None)]


def _after(merges: Sequence[Merge], who: Known, at: datetime) -> Known:
    for merge in merges:
        if who.key == merge.former and (merge.until is None or at <= merge.until):
            who = Known(merge.key, merge.person)
    return who
