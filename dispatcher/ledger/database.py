"""The connection to PostgreSQL and its schema.

`Database` owns the pool and brings the schema up to date: forward only, one process at a time, and never over
a migration that was edited after it had been applied. Where several statements must happen together, a `Transaction`
takes its place; what is written for a `Session` runs on either.
"""

from __future__ import annotations

import hashlib
import os
import re
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Literal, Protocol, Self, TypeAlias

import asyncpg
import orjson
from asyncpg.pool import PoolConnectionProxy

from dispatcher.domain.errors import LedgerUnavailable

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"

MIGRATION_LOCK = 7_221_001
"""Advisory lock held while migrating, so that any number of processes may start at once."""

UNREACHABLE = (
    OSError,  # TimeoutError is one of these
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.InternalClientError,  # what asyncpg says of a connection that broke at an unlucky moment
    asyncpg.InvalidCatalogNameError,
    asyncpg.InvalidAuthorizationSpecificationError,
)
"""What asyncpg raises when the server is away, as opposed to a statement that is wrong."""

Isolation = Literal["read_committed", "repeatable_read", "serializable"]


@contextmanager
def reachable() -> Iterator[None]:
    """Say LedgerUnavailable for whatever asyncpg raises when the server is away, or broke off a deadlock."""
    try:
        yield
    except asyncpg.DeadlockDetectedError as error:
        # why as if it were away: nothing was done, and whoever can wait for the ledger asks again and gets through.
        raise LedgerUnavailable(
            "PostgreSQL broke off a statement that stood in the way of another; nothing of it was done",
            hint="ask again",
        ) from error
    except (*UNREACHABLE, asyncpg.InterfaceError) as error:
        # why the exact type: asyncpg says InterfaceError for a closed connection, its subclasses for mistakes of ours.
        if isinstance(error, asyncpg.InterfaceError) and type(error) is not asyncpg.InterfaceError:
            raise
        raise LedgerUnavailable(
            f"PostgreSQL cannot be reached: {error or type(error).__name__}",
            hint="is DISPATCHER_DATABASE_URL right, and the server up? `dispatch doctor` looks into it",
        ) from error


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered file."""

    number: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """Of the text as shipped; a different one in the ledger means that history was rewritten."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def migrations() -> Sequence[Migration]:
    """All shipped migrations, in order."""
    found = [
        Migration(int(match[1]), match[2], file.read_text())
        for file in files("dispatcher.ledger").joinpath("migrations").iterdir()
        if (match := re.fullmatch(r"(\d{4})_(\w+)\.sql", file.name))
    ]
    return sorted(found, key=lambda migration: migration.number)


async def _prepare(connection: Connection) -> None:
    # why binary: asyncpg reads composite values, such as a whole row, only where each part is binary.
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        encoder=lambda value: b"\x01" + orjson.dumps(value),
        decoder=lambda data: orjson.loads(data[1:]),
        format="binary",
    )


def _name_of_process() -> str:
    """In `pg_stat_activity`, so that one sees whose a connection is. PostgreSQL keeps 63 characters."""
    return f"dispatcher {socket.gethostname()[:40]}:{os.getpid()}"


async def _leave(_connection: Connection) -> None:
    """What is done to a connection that goes back to the pool, beyond ending its transaction: nothing.

    asyncpg would reset the session's listeners, locks and settings, in a round trip that costs as much as the statement
    before it (120 µs of 270, measured on the project's two-core test machine, 2026-11). Our sessions have none of these.
    """


class Session(Protocol):
    """Where statements go: to the `Database`, each on its own, or into one `Transaction`, all or none.

    Every method raises LedgerUnavailable when the server is away.
    """

    def transaction(self, isolation: Isolation = "read_committed") -> AbstractAsyncContextManager[Connection]:
        """What happens in the block happens altogether, or not at all."""
        ...

    async def fetch(self, sql: str, *args: object) -> list[asyncpg.Record]:
        """All rows of one statement."""
        ...

    async def fetchrow(self, sql: str, *args: object) -> asyncpg.Record | None:
        """The first row."""
        ...

    async def fetchval(self, sql: str, *args: object) -> Any:
        """The first value of the first row."""
        ...

    async def execute(self, sql: str, *args: object) -> None:
        """A statement for its effect."""
        ...


class Transaction:
    """A session within one transaction, which whoever began it ends. One statement at a time."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @asynccontextmanager
    async def transaction(self, isolation: Isolation = "read_committed") -> AsyncIterator[Connection]:
        """A savepoint: an error in the block takes back the block alone."""
        if isolation != "read_committed":
            raise ValueError("a savepoint has the isolation of its transaction")
        with reachable():
            async with self._connection.transaction():
                yield self._connection

    async def fetch(self, sql: str, *args: object) -> list[asyncpg.Record]:
        """All rows of one statement."""
        with reachable():
            return await self._connection.fetch(sql, *args)

    async def fetchrow(self, sql: str, *args: object) -> asyncpg.Record | None:
        """The first row."""
        with reachable():
            return await self._connection.fetchrow(sql, *args)

    async def fetchval(self, sql: str, *args: object) -> Any:
        """The first value of the first row."""
        with reachable():
            return await self._connection.fetchval(sql, *args)

    async def execute(self, sql: str, *args: object) -> None:
        """A statement for its effect."""
        with reachable():
            await self._connection.execute(sql, *args)


class Database:
    """A pool of connections. Statements are prepared once per connection, by asyncpg."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record]) -> None:
        self.pool = pool

    @classmethod
    async def open(cls, url: str, *, connections: int) -> Self:
        """Connect; raises LedgerUnavailable."""
        with reachable():
            pool = await asyncpg.create_pool(
                url,
                min_size=1,
                max_size=connections,
                init=_prepare,
                reset=_leave,
                timeout=5,
                command_timeout=60,
                server_settings={"application_name": _name_of_process(), "timezone": "UTC"},
            )
        return cls(pool)

    async def close(self) -> None:
        """Give the connections back."""
        await self.pool.close()

    async def warm_up(self, sql: str) -> None:
        """Open all connections now, and have each learn the types of what this statement answers with.

        Otherwise the first who ask wait for that: some 10 ms for a connection, 5 for each type of row within a row.
        """
        with reachable():
            async with AsyncExitStack() as held:
                for _ in range(self.pool.get_max_size()):
                    connection = await held.enter_async_context(self.pool.acquire())
                    await connection.prepare(sql)

    @asynccontextmanager
    async def transaction(self, isolation: Isolation = "read_committed") -> AsyncIterator[Connection]:
        """A connection inside a transaction, committed at the end of the block."""
        with reachable():
            async with self.pool.acquire() as connection, connection.transaction(isolation=isolation):
                yield connection

    async def fetch(self, sql: str, *args: object) -> list[asyncpg.Record]:
        """All rows of one statement."""
        with reachable():
            return await self.pool.fetch(sql, *args)

    async def fetchrow(self, sql: str, *args: object) -> asyncpg.Record | None:
        """The first row."""
        with reachable():
            return await self.pool.fetchrow(sql, *args)

    async def fetchval(self, sql: str, *args: object) -> Any:
        """The first value of the first row."""
        with reachable():
            return await self.pool.fetchval(sql, *args)

    async def execute(self, sql: str, *args: object) -> None:
        """A statement for its effect."""
        with reachable():
            await self.pool.execute(sql, *args)

    async def migrate(self) -> Sequence[Migration]:
        """Apply what is missing, each file in a transaction of its own. Returns what was applied.

        Raises LedgerUnavailable when the ledger is newer than this version, or was built from other files.
        """
        applied_now = []
        async with self.pool.acquire() as connection:
            await connection.execute("SELECT pg_advisory_lock($1)", MIGRATION_LOCK)
            try:
                done = await self._applied(connection)
                for migration in migrations():
                    if migration.number in done:
                        _check(migration, done.pop(migration.number))
                        continue
                    async with connection.transaction():
                        await connection.execute(migration.sql)
                        await connection.execute(
                            "INSERT INTO migrations (number, name, checksum) VALUES ($1, $2, $3)",
                            migration.number,
                            migration.name,
                            migration.checksum,
                        )
                    applied_now.append(migration)
                if done:
                    raise LedgerUnavailable(
                        f"the ledger has migrations that this version does not know: {sorted(done)}",
                        hint="run the version of the dispatcher that made them, or a newer one",
                    )
            finally:
                await connection.execute("SELECT pg_advisory_unlock($1)", MIGRATION_LOCK)
        return applied_now

    async def missing_migrations(self) -> Sequence[Migration]:
        """What `migrate` would apply; changes nothing."""
        async with self.pool.acquire() as connection:
            if await connection.fetchval("SELECT to_regclass('migrations')") is None:
                return migrations()
            done = await self._applied(connection)
        return [migration for migration in migrations() if migration.number not in done]

    async def instance(self) -> str:
        """Which ledger this is; part of every message token and Redis key."""
        return str(await self.fetchval("SELECT id FROM instance"))

    async def version(self) -> str:
        """The server's version, such as "18.6"."""
        return str(await self.fetchval("SHOW server_version"))

    async def _applied(self, connection: Connection) -> dict[int, str]:
        await connection.execute(
            """CREATE TABLE IF NOT EXISTS migrations (
                number int PRIMARY KEY, name text NOT NULL, checksum text NOT NULL,
                applied_at timestamptz NOT NULL DEFAULT clock_timestamp())"""
        )
        rows = await connection.fetch("SELECT number, checksum FROM migrations")
        return {row["number"]: row["checksum"] for row in rows}


def _check(migration: Migration, checksum: str) -> None:
    if migration.checksum != checksum:
        raise LedgerUnavailable(
            f"migration {migration.number:04d}_{migration.name} was edited after it had been applied",
            hint="restore the file; write a new migration for the change",
        )
