"""Webhooks of one status each: posted, stored, applied; with one HTTP process and one intake worker."""

from __future__ import annotations

import argparse
import asyncio
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import psutil
import uvloop

from benchmarks.deliveries import Deliveries, signed_request
from dispatcher.domain.ids import CampaignId, MessageId, SenderId, Token
from dispatcher.domain.rate import Rate
from dispatcher.domain.reach import LimitScope, Tier
from dispatcher.domain.sender import Lifecycle, Quality, Sender, SenderStatus
from dispatcher.embedded import Embedded
from dispatcher.ledger.database import Database
from dispatcher.ledger.senders import LedgerSenders
from dispatcher.processes import start_api, start_workers
from dispatcher.settings import Settings

PATH = "/webhooks/whatsapp"
SECRET = b"benchmark-secret"
PER_S = 5_000
P99_MS = 250
EMPTIED_WITHIN_S = 120.0
LOOK_EVERY_S = 0.05
WABA = "100000000000001"
NUMBER = "200000000000001"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The size."""
    parser.add_argument("--webhooks", type=int, default=60_000)
    parser.add_argument("--rate", type=float, default=0.0, help="per second; 0: as fast as answers come")
    parser.add_argument("--connections", type=int, default=256)
    parser.add_argument("--restart-ledger", action="store_true", help="restart PostgreSQL in mid-run")
    parser.add_argument("--endpoint-only", action="store_true", help="no intake worker: stored is enough")


def run(given: argparse.Namespace) -> dict[str, Any]:
    """Measure it."""
    with _stage(given) as stage:
        return uvloop.run(_run(stage, given))


@dataclass(frozen=True, slots=True)
class _Stage:
    servers: Embedded
    settings: Settings
    url: str
    processes: Mapping[str, int]
    """Role → process id."""


@contextmanager
def _stage(given: argparse.Namespace) -> Iterator[_Stage]:
    """Durable servers, the HTTP process and, unless it is left out, one intake worker."""
    with ExitStack() as stack:
        home = Path(tempfile.mkdtemp(prefix="dispatcher-"))
        home.chmod(0o711)  # for root, PostgreSQL runs as another user, who must be able to pass through
        stack.callback(shutil.rmtree, home, ignore_errors=True)
        servers = stack.enter_context(Embedded(home / "data"))
        secret = home / "secret"
        secret.touch(mode=0o600)
        secret.write_bytes(SECRET)
        settings = Settings.load(
            database_url=servers.database_url,
            redis_url=servers.redis_url,
            webhook_secrets=[f"file:{secret}"],
        )
        api, url = start_api(settings)
        stack.enter_context(api)
        processes = {"api": api.pid}
        if not given.restart_ledger:
            processes["postgres"] = _postmaster(home / "data")
        if not given.endpoint_only:
            processes["intake"] = stack.enter_context(start_workers(settings, "intake", 1)).pid
        yield _Stage(servers, settings, url, processes)


async def _run(stage: _Stage, given: argparse.Namespace) -> dict[str, Any]:
    assert stage.settings.database_url is not None
    database = await Database.open(stage.settings.database_url, connections=2)
    try:
        requests = await _requests(database, given.webhooks)
        if not given.endpoint_only:
            # why: a worker that is still starting while PostgreSQL restarts would give up, and nobody replaces it here.
            await database.execute("INSERT INTO inbox (body) VALUES ('{}')")
            await _emptied(database)
        work = _Work(stage.processes)
        began_s = time.monotonic()
        deliveries = Deliveries(stage.url, requests, connections=given.connections, rate_per_s=given.rate)
        restart = asyncio.create_task(_restart(stage, deliveries, given)) if given.restart_ledger else None
        report = await deliveries.run()
        if restart is not None:
            await restart
        kept = await (_stored(database) if given.endpoint_only else _applied(database))
        seconds = time.monotonic() - began_s
        costs = work.us_per(given.webhooks)
    finally:
        await database.close()
    lost = given.webhooks - kept
    per_s = given.webhooks / seconds
    is_fast = per_s >= min(PER_S, 0.95 * given.rate or PER_S) and report.percentile_ms(0.99) < P99_MS
    return {
        "webhooks": given.webhooks,
        "webhooks_per_s": round(per_s),
        "answers_per_s": round(given.webhooks / report.seconds),
        "answer_p50_ms": report.percentile_ms(0.5),
        "answer_p99_ms": report.percentile_ms(0.99),
        "answers": dict(report.answers),
        "lost": lost,
        "us_per_webhook": costs,
        "holds": lost == 0 and (is_fast or given.restart_ledger),
    }


async def _requests(database: Database, count: int) -> Sequence[bytes]:
    """A campaign of accepted messages, and the delivery of one report for each."""
    sender = await LedgerSenders(database).add(_sender())
    campaign_id = await database.fetchval(
        """WITH campaign AS (
            INSERT INTO campaigns (name, state, template, language, mapping, columns, unsure_policy, audience)
            VALUES ('benchmark', 'completed', 'offer', 'en_US', '[]', '{}', 'give_up', $2) RETURNING id
        ), lane AS (
            INSERT INTO lanes (campaign_id, sender_id, accepted) SELECT id, $1, $2 FROM campaign
        ), people AS (
            INSERT INTO messages
                (campaign_id, person, person_key, params, state, sender_id, attempt, posted_at, wamid)
            SELECT id, phone, phone, '{}', 'accepted', $1, 1, ledger_now(), 'wamid.BENCH' || n
            FROM campaign, generate_series(1, $2) AS n, LATERAL (SELECT '+4915' || 110000000 + n AS phone) AS p
            RETURNING campaign_id, person_key, id
        ), members AS (
            INSERT INTO members (campaign_id, person_key, message_id) SELECT * FROM people
        )
        SELECT id FROM campaign""",
        sender.id,
        count,
    )
    instance = await database.instance()
    rows = await database.fetch(
        "SELECT id, person, wamid FROM messages WHERE campaign_id = $1 ORDER BY id", campaign_id
    )
    await database.execute("ANALYZE messages")
    return [
        signed_request(
            _report(
                row["wamid"],
                row["person"].removeprefix("+"),
                Token(instance, CampaignId(campaign_id), MessageId(row["id"]), 1),
            ),
            SECRET,
            PATH,
        )
        for row in rows
    ]


def _report(wamid: str, person: str, token: Token) -> bytes:
    """A body with one status, as Meta writes it. Source: Meta, "Status messages webhook reference", read 2026-09."""
    value = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "12025550100", "phone_number_id": NUMBER},
        "contacts": [{"profile": {"name": "Dana"}, "wa_id": person, "user_id": f"DE.{person}"}],
        "statuses": [
            {
                "id": wamid,
                "status": "delivered",
                "timestamp": str(int(time.time())),
                "recipient_id": person,
                "recipient_user_id": f"DE.{person}",
                "biz_opaque_callback_data": str(token),
                "pricing": {
                    "billable": True,
                    "pricing_model": "PMP",
                    "type": "regular",
                    "category": "marketing",
                },
            }
        ],
    }
    change = {"field": "messages", "value": value}
    return orjson.dumps({"object": "whatsapp_business_account", "entry": [{"id": WABA, "changes": [change]}]})


def _sender() -> Sender:
    return Sender(
        id=SenderId(0),
        name="bench",
        phone_number_id=NUMBER,
        phone="+12025550100",
        waba_id=WABA,
        portfolio_id=None,
        status=SenderStatus.CONNECTED,
        lifecycle=Lifecycle.ONLINE,
        quality=Quality.HIGH,
        tier=Tier.parse("unlimited"),
        limit_scope=LimitScope.SENDER,
        rate=Rate.parse("1000/s"),
        enabled=True,
        token_ref="env:NOBODY",  # noqa: S106 - nothing is sent
        origin="platform",
    )


async def _restart(stage: _Stage, deliveries: Deliveries, given: argparse.Namespace) -> None:
    """Take PostgreSQL away once a third is answered, for about a second."""
    while deliveries.report.answers["200"] < given.webhooks / 3:  # noqa: ASYNC110 - nothing tells each answer
        await asyncio.sleep(LOOK_EVERY_S)
    await asyncio.to_thread(stage.servers.postgres.stop)
    await asyncio.sleep(1)
    await asyncio.to_thread(stage.servers.postgres.start)


async def _stored(database: Database) -> int:
    return int(await database.fetchval("SELECT count(DISTINCT body) FROM inbox"))


async def _applied(database: Database) -> int:
    """How many messages have a receipt once all is taken in."""
    await _emptied(database)
    # The last batch leaves the inbox in the transaction that applies it.
    return int(await database.fetchval("SELECT count(*) FROM receipts WHERE state = 'delivered'"))


async def _emptied(database: Database) -> None:
    """Wait until nothing is in the inbox. Raises TimeoutError."""
    async with asyncio.timeout(EMPTIED_WITHIN_S):
        while await database.fetchval("SELECT EXISTS (SELECT FROM inbox)"):  # noqa: ASYNC110 - another process
            await asyncio.sleep(LOOK_EVERY_S)


def _postmaster(data: Path) -> int:
    return int(next(data.glob("**/postmaster.pid")).read_text().splitlines()[0])


class _Work:
    """What each role's processes spend on the processor, in microseconds."""

    def __init__(self, processes: Mapping[str, int]) -> None:
        self._processes = {role: psutil.Process(pid) for role, pid in processes.items()}
        self._before = self._spent_s()

    def us_per(self, webhooks: int) -> dict[str, float]:
        """By role, per webhook; "sender" is this process."""
        spent_s = self._spent_s()
        return {role: round((spent_s[role] - self._before[role]) / webhooks * 1e6, 1) for role in spent_s}

    def _spent_s(self) -> dict[str, float]:
        return {role: _spent_s(process) for role, process in self._processes.items()} | {
            "sender": time.process_time()
        }


def _spent_s(process: psutil.Process) -> float:
    """Its own and its children's, dead or alive; 0 for one that is gone."""
    try:
        spent = process.cpu_times()
        live = sum(sum(child.cpu_times()[:2]) for child in process.children(recursive=True))
    except psutil.NoSuchProcess:
        return 0.0
    return float(spent.user + spent.system + spent.children_user + spent.children_system + live)
