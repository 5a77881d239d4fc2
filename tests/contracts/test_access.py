"""Keys in the ledger, how fast they may be used, and the audit log that goes with every order."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest
from limits_builders import ManualMs
from redis.asyncio import Redis, RedisCluster
from support.builders import a_sender
from support.ledger import Ledger

from dispatcher.clock import SystemClock
from dispatcher.domain.access import ApiKey, Denial, Denied, Scope
from dispatcher.domain.audit import Actor, ActorKind, AuditEntry, AuditOutcome, Order
from dispatcher.domain.errors import BadValue, Conflict, LimitsUnavailable
from dispatcher.domain.ids import PersonKey
from dispatcher.domain.rate import Rate
from dispatcher.engine.access import Access
from dispatcher.ledger.audit import LedgerAudit, acting_as
from dispatcher.ledger.database import Database, Transaction
from dispatcher.ledger.keys import LedgerKeys
from dispatcher.ledger.senders import LedgerSenders
from dispatcher.ledger.suppressions import LedgerSuppressions
from dispatcher.limits.key_rates import RedisKeyRates

OPERATOR = Actor(ActorKind.COMMAND, "ann")
CALL = "GET /v1/campaigns"


@pytest.fixture
async def rates(redis_url: str) -> AsyncIterator[RedisKeyRates]:
    client = Redis.from_url(redis_url)
    yield RedisKeyRates(client, namespace="test", timeout=timedelta(seconds=2))
    await client.aclose()


@pytest.fixture
def access(database: Database, rates: RedisKeyRates) -> Access:
    return Access(LedgerKeys(database), rates, LedgerAudit(database), SystemClock())


async def entries(database: Database) -> list[AuditEntry]:
    """The whole log, oldest first."""
    return list(reversed(await LedgerAudit(database).page(None, 1_000)))


async def test_a_key_opens_what_it_was_made_for_and_nothing_else(access: Access) -> None:
    key, written = await access.create("shop", {Scope.READ})
    assert await access.admit(written, Scope.READ, CALL) == key
    denied = await access.admit(written, Scope.CAMPAIGNS_WRITE, "POST /v1/campaigns")
    assert denied == Denied(Denial.MISSING_SCOPE, await _again(access))


async def _again(access: Access) -> ApiKey:
    [key] = await access.all()
    return key


async def test_the_secret_is_kept_nowhere(access: Access, database: Database) -> None:
    with acting_as(OPERATOR):
        _, written = await access.create("shop", set(Scope))
    secret = written.rpartition("_")[2]
    for sql in (
        "SELECT row_to_json(k)::text AS row FROM api_keys k",
        "SELECT row_to_json(a)::text AS row FROM audit_log a",
    ):
        rows = await database.fetch(sql)
        assert rows
        assert all(secret not in row["row"] for row in rows)


async def test_a_wrong_secret_is_as_unknown_as_a_wrong_prefix(access: Access) -> None:
    _, written = await access.create("shop", {Scope.READ})
    wrong_secret = written[:-1] + ("x" if written[-1] != "x" else "y")
    wrong_prefix = "dk_000000000000_" + written.rpartition("_")[2].rjust(43, "x")[-43:]
    for presented in (wrong_secret, wrong_prefix):
        assert await access.admit(presented, Scope.READ, CALL) == Denied(Denial.UNKNOWN_KEY, None)


async def test_refused_calls_share_an_entry_per_hour_however_many_come(
    access: Access, database: Database
) -> None:
    for _ in range(5):
        assert await access.admit(None, Scope.READ, CALL) == Denied(Denial.NO_KEY, None)
    [entry] = await entries(database)
    assert (entry.actor.kind, entry.outcome) == (ActorKind.NOBODY, AuditOutcome.REFUSED)
    assert (entry.action, entry.subject) == (CALL, Denial.NO_KEY)


async def test_what_waits_to_be_counted_is_counted_in_the_end(database: Database) -> None:
    book = LedgerAudit(database)
    nobody = Actor(ActorKind.NOBODY, "")
    for times in (1, 4):
        await book.refuse(nobody, CALL, Denial.NO_KEY, times)
    [entry] = await entries(database)
    assert entry.times == 5


async def test_a_use_is_written_down(access: Access) -> None:
    _, written = await access.create("shop", {Scope.READ})
    assert (await _again(access)).last_used_at is None
    await access.admit(written, Scope.READ, CALL)
    used = await _again(access)
    assert used.last_used_at is not None
    await access.admit(written, Scope.READ, CALL)
    assert (await _again(access)) == used


async def test_a_key_cannot_give_what_it_has_not_got(access: Access) -> None:
    giver, _ = await access.create("admin", {Scope.KEYS_ADMIN, Scope.READ})
    with pytest.raises(BadValue, match="cannot give what it has not got: campaigns:write"):
        await access.create("shop", {Scope.READ, Scope.CAMPAIGNS_WRITE}, giver=giver)
    given, _ = await access.create("shop", {Scope.READ}, giver=giver)
    assert given.scopes == {Scope.READ}


async def test_a_key_is_not_used_faster_than_its_rate(
    redis: Redis | RedisCluster, clock: ManualMs, access: Access
) -> None:
    rates = RedisKeyRates(redis, namespace="test", timeout=timedelta(seconds=2), now_ms=clock)
    key, _ = await access.create("shop", {Scope.READ}, rate=Rate.parse("5/s"))
    assert [await rates.take(key) for _ in range(10)] == [None] * 10
    assert await rates.take(key) == timedelta(milliseconds=200)
    clock.ms += 199
    assert await rates.take(key) == timedelta(milliseconds=1)
    clock.ms += 1
    assert await rates.take(key) is None
    assert await rates.take(replace(key, id=type(key.id)(77))) is None


async def test_while_redis_is_away_calls_are_not_counted(database: Database) -> None:
    nowhere = Redis.from_url("redis://127.0.0.1:1/0")
    rates = RedisKeyRates(nowhere, namespace="test", timeout=timedelta(seconds=2))
    access = Access(LedgerKeys(database), rates, LedgerAudit(database), SystemClock())
    key, written = await access.create("shop", {Scope.READ})
    with pytest.raises(LimitsUnavailable):
        await rates.take(key)
    assert await access.admit(written, Scope.READ, CALL) == key
    await nowhere.aclose()


# Orders leave entries.


async def test_an_order_tells_who_what_before_and_after(ledger: Ledger, database: Database) -> None:
    book = LedgerSenders(database)
    await book.add(a_sender("harbour", rate=Rate.parse("80/s")))
    with acting_as(OPERATOR):
        await book.change("harbour", {"rate": Rate.parse("20/s"), "enabled": False})
    [entry] = await entries(database)
    assert (entry.actor, entry.action, entry.subject) == (OPERATOR, Order.SENDER_CHANGED, "sender harbour")
    assert entry.before == {"rate": "80/s", "enabled": True}
    assert entry.after == {"rate": "20/s", "enabled": False}


async def test_an_order_that_comes_to_nothing_leaves_no_entry(database: Database) -> None:
    with acting_as(OPERATOR):
        book = LedgerSenders(database)
        await book.add(a_sender("harbour"))
        with pytest.raises(Conflict):
            await book.add(a_sender("harbour"))
    assert len(await entries(database)) == 1


async def test_an_order_within_a_transaction_vanishes_with_it(database: Database) -> None:
    connection = await database.pool.acquire()
    transaction = connection.transaction()
    await transaction.start()
    with acting_as(OPERATOR):
        await LedgerSenders(Transaction(connection)).add(a_sender("harbour"))
    await transaction.rollback()
    await database.pool.release(connection)
    assert await LedgerSenders(database).all() == []
    assert await entries(database) == []


async def test_what_nobody_ordered_is_not_in_the_log(database: Database) -> None:
    await LedgerSuppressions(database).put([(PersonKey("+4930"), "+4930")], "asked", "webhook")
    assert await entries(database) == []


async def test_an_order_about_the_suppression_list_names_its_people(database: Database) -> None:
    book, person = LedgerSuppressions(database), PersonKey("+4930")
    with acting_as(OPERATOR):
        await book.put([(person, "+4930")], "asked", "command line")
        await book.put([(person, "+4930")], "asked", "command line")
        await book.remove([person], "command line")
    on, off = await entries(database)
    assert on.after == {
        "people": {"number": 1, "first": ["+4930"]},
        "reason": "asked",
        "source": "command line",
    }
    assert off.before == {"people": {"number": 1, "first": ["+4930"]}}


async def test_a_sealed_token_is_told_as_sealed_and_no_more(database: Database) -> None:
    with acting_as(OPERATOR):
        await LedgerSenders(database).add(a_sender("harbour", token_ref="sealed:gAAAAB-the-box"))
    [entry] = await entries(database)
    assert entry.after is not None
    assert entry.after["token"] == "sealed"
    assert "box" not in str(entry)
