"""The suppression list in the ledger: wishes of people, orders of operators, what ends by itself, and their history.

Whatever puts somebody on the list also takes them out of the campaigns in which they are still pending.
The statements are in `sql/suppressions.sql`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from dispatcher.domain.audit import Order
from dispatcher.domain.identity import Merge
from dispatcher.domain.ids import CampaignId, PersonKey, PoolKey
from dispatcher.domain.opting import HistoryEntry, SuppressionChange, Wish
from dispatcher.domain.report import Suppressed
from dispatcher.ledger.audit import note, some
from dispatcher.ledger.database import Session, Transaction
from dispatcher.ledger.identities import LedgerIdentities
from dispatcher.ledger.partitions import with_live_campaigns, within
from dispatcher.ledger.queries import load

SQL = load("suppressions")


class LedgerSuppressions:
    """The port `SuppressionBook` on PostgreSQL; on its own or within a batch of webhooks."""

    def __init__(self, session: Session) -> None:
        self._db = session

    async def wish(self, wishes: Sequence[Wish]) -> None:
        """Note wishes and follow the latest of each person; campaigns are swept by `sweep`."""
        rows = [
            (w.key, w.person, w.user_id, w.change, str(w.change), w.source, w.at, w.evidence) for w in wishes
        ]
        await self._db.execute(SQL["note"], *map(list, zip(*rows, strict=True)))
        await self._db.execute(SQL["follow_wishes"], [wish.key for wish in wishes])

    async def opt_out(self, key: PersonKey, person: str, source: str, at: datetime) -> None:
        """Meta says that a person opted out: note it, and take them out of campaigns."""
        wish = Wish(key, person, None, SuppressionChange.OPTED_OUT, source, at, None)
        async with self._db.transaction() as connection:
            within = LedgerSuppressions(Transaction(connection))
            await within.wish([wish])
            swept = await within.sweep([key])
        await self.call_emptied(swept)

    async def put(
        self,
        people: Sequence[tuple[PersonKey, str]],
        reason: str,
        source: str,
        until: datetime | None = None,
    ) -> int:
        """Put people (key or user id, and how they are shown) on the list, and take them out of campaigns.

        until: None for an operator's order. Returns how many were not on it.
        """
        known = await LedgerIdentities(self._db).canonical([key for key, _ in people])
        keys = [known[key].key for key, _ in people]
        shown = [known[key].person or person for key, person in people]
        async with self._db.transaction() as connection:
            within = LedgerSuppressions(Transaction(connection))
            new = await connection.fetch(SQL["put"], keys, shown, reason, source, until)
            if until is None and new:
                what = {"people": some([row["person"] for row in new]), "reason": reason, "source": source}
                await note(connection, Order.PEOPLE_SUPPRESSED, "suppressions", after=what)
            swept = await within.sweep(keys)
        await self.call_emptied(swept)
        return len(new)

    async def remove(self, keys: Sequence[str], source: str) -> Sequence[PersonKey]:
        """Take people off the list, by key or user id. Returns those who were on it."""
        known = await self.keys_of(keys)
        async with self._db.transaction() as connection:
            rows = await connection.fetch(SQL["remove"], known, source)
            if rows:
                was = {"people": some([row["person"] for row in rows])}
                await note(connection, Order.PEOPLE_UNSUPPRESSED, "suppressions", before=was)
        return [row["person_key"] for row in rows]

    async def keys_of(self, ids: Sequence[str]) -> Sequence[PersonKey]:
        """The people for whom keys and user ids stand now, in their order."""
        known = await LedgerIdentities(self._db).canonical(ids)
        return [known[id_].key for id_ in ids]

    async def all(self) -> Sequence[Suppressed]:
        """The list, the oldest entry first."""
        return [Suppressed(**row) for row in await self._db.fetch(SQL["all"])]

    async def history(self, key: str) -> Sequence[HistoryEntry]:
        """What happened to a person on the list, the oldest first. key: of the number, or a user id."""
        rows = await self._db.fetch(SQL["history"], *await self.keys_of([key]))
        return [
            HistoryEntry(
                row["at"], SuppressionChange(row["change"]), row["reason"], row["source"], row["recorded_at"]
            )
            for row in rows
        ]

    async def standing(self, keys: Sequence[PersonKey]) -> Sequence[PersonKey]:
        """Those of them who are on the list now."""
        return [row["person_key"] for row in await self._db.fetch(SQL["standing"], keys)]

    async def pools_of(self, keys: Sequence[PersonKey]) -> Mapping[PoolKey, Sequence[PersonKey]]:
        """Where turns may have, or may be about to claim, a message to these people. Ask before `sweep`."""
        pools: dict[PoolKey, list[PersonKey]] = {}
        for partition in await with_live_campaigns(self._db):
            for row in await self._db.fetch(within(SQL["pools_of"], partition), keys):
                pools.setdefault(PoolKey(row["pool"]), []).append(row["person_key"])
        return pools

    async def pools(self) -> Sequence[PoolKey]:
        """All there are."""
        return [PoolKey(row["pool"]) for row in await self._db.fetch(SQL["pools"])]

    async def sweep(self, keys: Sequence[PersonKey]) -> Sequence[CampaignId]:
        """Take those who are on the list out of campaigns in which they are pending. Returns the campaigns that lost somebody."""
        return [
            CampaignId(row["id"])
            for partition in await with_live_campaigns(self._db)
            for row in await self._db.fetch(within(SQL["sweep"], partition), keys)
        ]

    async def call_emptied(self, campaigns: Sequence[CampaignId]) -> None:
        """Have a turn find out where nobody is left. In a transaction of its own: lanes are locked by whoever closes a turn."""
        if campaigns:
            await self._db.execute(SQL["call_emptied"], campaigns)

    async def merge(self, merge: Merge) -> None:
        """What counts for one counts for the person whom they turned out to be."""
        await self._db.execute(SQL["merge"], merge.former, merge.key, merge.until, merge.person)
        await self._db.execute(SQL["follow_wishes"], [merge.key])
