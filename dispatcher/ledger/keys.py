"""Keys of the HTTP API in the ledger. The statements are in `sql/keys.sql`; what a key opens is left to the engine."""

from __future__ import annotations

from collections.abc import Sequence

from dispatcher.domain.access import ApiKey, KeyId, NewKey, Scope
from dispatcher.domain.audit import Order
from dispatcher.domain.errors import NotFound
from dispatcher.domain.rate import Rate
from dispatcher.ledger.audit import note
from dispatcher.ledger.database import Session
from dispatcher.ledger.queries import load
from dispatcher.ledger.rows import Row

SQL = load("keys")


class LedgerKeys:
    """The port `KeyBook` on PostgreSQL."""

    def __init__(self, session: Session) -> None:
        self._db = session

    async def add(self, new: NewKey) -> ApiKey:
        """Store a key; what opens it is not stored."""
        async with self._db.transaction() as connection:
            row = await connection.fetchrow(
                SQL["add"],
                new.name,
                new.prefix,
                new.digest,
                sorted(new.scopes),
                new.rate.milli_per_s,
                new.expires_at,
            )
            assert row is not None
            key = _key_of(row)
            after = {
                "prefix": key.prefix,
                "name": key.name,
                "scopes": sorted(key.scopes),
                "rate": str(key.rate),
                "expires_at": key.expires_at,
            }
            await note(connection, Order.KEY_CREATED, f"key {key.id}", after=after)
        return key

    async def find(self, prefix: str) -> tuple[ApiKey, bytes] | None:
        """The key of this prefix with the digest of its secret."""
        row = await self._db.fetchrow(SQL["by_prefix"], prefix)
        return None if row is None else (_key_of(row), row["digest"])

    async def used(self, key: ApiKey) -> None:
        """Write down that it was used."""
        await self._db.execute(SQL["used"], key.id)

    async def all(self) -> Sequence[ApiKey]:
        """The oldest first, revoked ones too."""
        return [_key_of(row) for row in await self._db.fetch(SQL["all"])]

    async def revoke(self, key_id: KeyId) -> ApiKey:
        """From now on it opens nothing; a second time changes nothing. Raises NotFound."""
        async with self._db.transaction() as connection:
            row = await connection.fetchrow(SQL["revoke"], key_id)
            if row is None:
                raise NotFound(f"there is no key {key_id}", hint="`dispatch keys list` shows those there are")
            key = _key_of(row)
            if row["is_news"]:
                was, now = {"revoked_at": None}, {"revoked_at": key.revoked_at}
                await note(connection, Order.KEY_REVOKED, f"key {key.id}", before=was, after=now)
        return key


def _key_of(row: Row) -> ApiKey:
    return ApiKey(
        id=KeyId(row["id"]),
        name=row["name"],
        prefix=row["prefix"],
        scopes=frozenset(map(Scope, row["scopes"])),
        rate=Rate(row["rate_milli_per_s"]),
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        revoked_at=row["revoked_at"],
        last_used_at=row["last_used_at"],
    )
