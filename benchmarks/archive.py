"""What an old campaign takes on disk, and what it costs to be rid of it: its partition dropped, and its rows deleted.

The product drops; deleting is what it would have to do without partitions: in batches, and vacuum afterwards. Both in a
durable ledger, each with a campaign of its own that was sent and reported on. A drop proves the counters from the messages
first, which is nearly all of its time.
"""

from __future__ import annotations

import argparse
import time
from datetime import timedelta
from typing import Any

import uvloop

from benchmarks.stage import add_senders
from dispatcher.app import App, open_app
from dispatcher.ledger.database import Database
from dispatcher.rehearsal import Rehearsal, rehearsal

BATCH = 10_000
TIMES_LESS = 10
"""A drop is to write at least so many times less than deleting does."""

_FILL = (
    """INSERT INTO campaigns (name, state, template, language, mapping, columns, unsure_policy, audience, started_at,
        finished_at, created_at)
    SELECT 'old', 'completed', 'offer', 'en_US', '[]', '{}', 'give_up', $1::bigint, at, at, at
    FROM (SELECT ledger_now() - interval '500 days' AS at) AS long_ago
    RETURNING id""",
    "INSERT INTO lanes (campaign_id, sender_id, accepted) VALUES ($1, $3, $2)",
    """WITH people AS (
        INSERT INTO messages (campaign_id, line, person, person_key, params)
        SELECT $1, n, phone, phone, ARRAY['Name ' || n, '20 %']
        FROM generate_series(1, $2::int) AS n, LATERAL (SELECT '+4915' || 110000000 + n AS phone) AS p
        RETURNING campaign_id, person_key, id)
    INSERT INTO members (campaign_id, person_key, message_id) SELECT * FROM people""",
    "UPDATE messages SET state = 'claimed', claim_id = 1, sender_id = $2, attempt = 1 WHERE campaign_id = $1",
    """UPDATE messages SET state = 'accepted', posted_at = ledger_now() - interval '500 days',
        wamid = 'wamid.HBgNNDkxNTEx' || md5(id::text) || 'FQIAERgSAA==' WHERE campaign_id = $1""",
    """INSERT INTO receipts (campaign_id, message_id, attempt, wamid, sent_at, delivered_at, read_at)
    SELECT campaign_id, id, 1, wamid, posted_at, posted_at, posted_at FROM messages WHERE campaign_id = $1""",
)
"""Campaign, lane and people as an import, a sending and Meta's reports leave them."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The size."""
    parser.add_argument("--people", type=int, default=1_000_000)


def run(given: argparse.Namespace) -> dict[str, Any]:
    """Measure it."""
    with rehearsal(None, lanes=0) as stage:
        return uvloop.run(_run(stage, given))


async def _run(stage: Rehearsal, given: argparse.Namespace) -> dict[str, Any]:
    async with open_app(stage.settings) as app:
        [sender] = await add_senders(app, stage, 1, rate="80/s", tier="unlimited")
        sender_id = await app.database.fetchval("SELECT id FROM senders WHERE name = $1", sender)
        dropped = await _fill(app.database, given.people, sender_id)
        await app.archive.keep_going()
        deleted = await _fill(app.database, given.people, sender_id)
        await app.archive.keep_going()
        assert (dropped, deleted) == (1, 1_001), "each in a partition of its own"
        size = await _size(app.database, dropped)
        drop, delete = await _drop(app, dropped), await _delete(app.database, deleted)
    return {
        "people": given.people,
        "bytes_per_message": {name: round(each / given.people) for name, each in size.items()},
        "drop": drop,
        "delete": delete,
        "holds": drop["wal_mb"] * TIMES_LESS <= delete["wal_mb"] and drop["seconds"] < delete["seconds"],
    }


async def _fill(database: Database, people: int, sender_id: int) -> int:
    create, lane, add, claim, accept, report = _FILL
    campaign = int(await database.fetchval(create, people))
    async with database.transaction() as connection:
        await connection.execute(lane, campaign, people, sender_id)
        await connection.execute(add, campaign, people, timeout=600)
    for sql, arguments in ((claim, (campaign, sender_id)), (accept, (campaign,)), (report, (campaign,))):
        async with database.transaction() as connection:
            await connection.execute(sql, *arguments, timeout=600)
    return campaign


async def _size(database: Database, first: int) -> dict[str, int]:
    tables = {table: f"{table}_{first}" for table in ("messages", "members", "receipts")}
    return {
        name: await database.fetchval("SELECT pg_total_relation_size($1::text::regclass)", table)
        for name, table in tables.items()
    }


class _Meter:
    """Time, and what is written to the log of PostgreSQL, which standbys and backups have to take as well."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def begin(self) -> None:
        self._lsn = await self._db.fetchval("SELECT pg_current_wal_lsn()::text")
        self._began_s = time.monotonic()

    async def read(self) -> dict[str, float]:
        seconds = time.monotonic() - self._began_s
        written = await self._db.fetchval("SELECT pg_current_wal_lsn() - $1::text::pg_lsn", self._lsn)
        return {"seconds": round(seconds, 2), "wal_mb": round(float(written) / 2**20, 2)}


async def _drop(app: App, first: int) -> dict[str, float]:
    meter, keep = _Meter(app.database), timedelta(days=400)
    [partition] = [p for p, _ in await app.archive.look(keep) if p.first == first]
    await meter.begin()
    kept = await app.archive.drop(partition, keep)
    assert not kept, kept
    return await meter.read()


async def _delete(database: Database, campaign: int) -> dict[str, float]:
    meter = _Meter(database)
    await meter.begin()
    for kind, key in (("receipts", "message_id"), ("members", "person_key"), ("messages", "id")):
        table = f"{kind}_{campaign}"
        sql = f"""WITH batch AS (SELECT ctid FROM {table} ORDER BY campaign_id, {key} LIMIT {BATCH}), gone AS (
            DELETE FROM {table} WHERE ctid = ANY (ARRAY(SELECT ctid FROM batch)) RETURNING 1)
            SELECT count(*) FROM gone"""  # noqa: S608 - our own names
        while await database.fetchval(sql):
            pass
        async with database.pool.acquire() as connection:
            await connection.execute(f"VACUUM {table}", timeout=600)
    return await meter.read()
