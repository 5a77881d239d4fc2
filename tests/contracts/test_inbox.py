"""The inbox: what comes in leaves it with its effects or into quarantine, and never otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from support.ledger import later

from dispatcher.domain.errors import LedgerUnavailable
from dispatcher.domain.inbox import Backlog, Body, PutAside
from dispatcher.ledger import inbox as module
from dispatcher.ledger.database import Database, Transaction
from dispatcher.ledger.inbox import LedgerInbox

WITHIN = timedelta(seconds=5)
MORNING = datetime(2026, 9, 1, 8, tzinfo=UTC)


@pytest.fixture
def inbox(database: Database) -> LedgerInbox:
    return LedgerInbox(database)


def a_piece(content: bytes = b"{}", reason: str = "not_json", **fields: object) -> PutAside:
    values: dict[str, object] = {"received_at": MORNING, "detail": "at byte 0"} | fields
    return PutAside(reason=reason, content=content, **values)  # type: ignore[arg-type]


async def taken(inbox: LedgerInbox, most: int = 100) -> list[bytes]:
    """Take a batch and do nothing with it."""
    async with inbox.batch(most) as batch:
        return contents(batch.bodies)


def contents(bodies: Sequence[Body]) -> list[bytes]:
    return [body.content for body in bodies]


async def put_aside(inbox: LedgerInbox, *pieces: PutAside) -> None:
    async with inbox.batch(0) as batch:
        await batch.put_aside(pieces)


# in and out


async def test_bodies_come_out_oldest_first_and_byte_for_byte(inbox: LedgerInbox) -> None:
    bodies = [bytes(range(256)), b"", b"\x00", b"two", b"three"]
    await inbox.add(bodies[:2], within=WITHIN)
    await inbox.add(bodies[2:], within=WITHIN)
    assert await taken(inbox, 3) == bodies[:3]
    assert await taken(inbox) == bodies[3:]
    assert await taken(inbox) == []


async def test_a_batch_that_fails_stays_in_the_inbox(inbox: LedgerInbox) -> None:
    await inbox.add([b"one"], within=WITHIN)

    async def broken() -> None:
        async with inbox.batch(10) as batch:
            await batch.put_aside([a_piece()])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await broken()
    assert await inbox.quarantined(10) == []
    assert await taken(inbox) == [b"one"]


async def test_what_one_worker_has_another_does_not_wait_for(inbox: LedgerInbox) -> None:
    await inbox.add([b"%d" % n for n in range(4)], within=WITHIN)
    async with inbox.batch(2) as first, inbox.batch(100) as second:
        assert contents(first.bodies) == [b"0", b"1"]
        assert contents(second.bodies) == [b"2", b"3"]
    assert await inbox.waiting() == Backlog(0, None)


async def test_a_batch_is_bounded_by_size_and_never_empty_for_it(
    inbox: LedgerInbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH_BYTES", 10)
    bodies = [b"larger than a batch", b"1234", b"1234", b"1234", b"1234"]
    await inbox.add(bodies, within=WITHIN)
    assert await taken(inbox) == bodies[:1]
    assert await taken(inbox) == bodies[1:4]
    assert await taken(inbox) == bodies[4:]


async def test_what_waits_is_counted_with_the_time_of_the_oldest(inbox: LedgerInbox) -> None:
    await inbox.add([b"one", b"two"], within=WITHIN)
    waiting = await inbox.waiting()
    assert waiting.bodies == 2
    assert waiting.oldest is not None
    assert abs(waiting.oldest - later(timedelta())) < timedelta(minutes=1)


async def test_a_ledger_that_refuses_is_as_good_as_away(inbox: LedgerInbox, database: Database) -> None:
    await database.execute("ALTER TABLE inbox ADD CHECK (body <> 'poison')")
    with pytest.raises(LedgerUnavailable, match="refuses"):
        await inbox.add([b"good", b"poison"], within=WITHIN)
    assert await taken(inbox) == []


# quarantine


async def test_what_is_put_aside_can_be_looked_at_the_newest_first(inbox: LedgerInbox) -> None:
    pieces = [a_piece(b"1"), a_piece(b"2", "no_wamid", retry_at=later()), a_piece(b"3")]
    await put_aside(inbox, *pieces)
    assert [found.piece for found in await inbox.quarantined(10)] == pieces[::-1]
    assert [found.piece for found in await inbox.quarantined(1, "not_json")] == [pieces[2]]


async def test_a_detail_that_postgresql_would_refuse_is_made_harmless(inbox: LedgerInbox) -> None:
    await put_aside(inbox, a_piece(detail="\0 and \ud800 " + "x" * 5_000))
    [found] = await inbox.quarantined(10)
    assert found.piece.detail.startswith("\N{REPLACEMENT CHARACTER} and ? xxx")
    assert len(found.piece.detail) == module.DETAIL_CHARACTERS


async def test_a_replay_by_id_or_reason_keeps_when_it_first_came_in(inbox: LedgerInbox) -> None:
    await put_aside(inbox, a_piece(b"1"), a_piece(b"2", "no_wamid"), a_piece(b"3"), a_piece(b"4", "bad_time"))
    newest, *_ = await inbox.quarantined(10)
    assert await inbox.replay([newest.id, newest.id + 1]) == 1
    assert await inbox.replay(reason="not_json") == 2
    assert await inbox.replay(reason="unheard_of") == 0
    async with inbox.batch(10) as batch:
        assert list(batch.bodies) == [Body(MORNING, content) for content in (b"4", b"1", b"3")]
    assert [found.piece.content for found in await inbox.quarantined(10)] == [b"2"]


async def test_only_what_is_due_goes_back_by_itself(inbox: LedgerInbox) -> None:
    past, future = later(-timedelta(seconds=5)), later()
    await put_aside(inbox, a_piece(b"due", retry_at=past), a_piece(b"later", retry_at=future), a_piece(b"no"))
    assert await inbox.retry_due() == 1
    assert await inbox.retry_due() == 0
    assert await taken(inbox) == [b"due"]


async def test_what_is_discarded_is_gone(inbox: LedgerInbox) -> None:
    await put_aside(inbox, a_piece(b"1"), a_piece(b"2"))
    newest, oldest = await inbox.quarantined(10)
    assert await inbox.discard([oldest.id]) == 1
    assert await inbox.discard([oldest.id]) == 0
    assert await inbox.quarantined(10) == [newest]


# the transaction that intake works in


async def test_a_savepoint_takes_back_its_block_alone(database: Database) -> None:
    async def broken(session: Transaction) -> None:
        async with session.transaction() as inner:
            await inner.execute("INSERT INTO inbox (body) VALUES ('taken back')")
            raise ZeroDivisionError

    async with database.transaction() as connection:
        session = Transaction(connection)
        await session.execute("INSERT INTO inbox (body) VALUES ('kept')")
        with pytest.raises(ZeroDivisionError):
            await broken(session)
        assert await session.fetchval("SELECT count(*) FROM inbox") == 1
        [row] = await session.fetch("SELECT body FROM inbox")
        assert row["body"] == b"kept"
    assert await database.fetchval("SELECT body FROM inbox") == b"kept"


async def test_a_savepoint_has_no_isolation_of_its_own(database: Database) -> None:
    async with database.transaction() as connection:
        with pytest.raises(ValueError, match="isolation"):
            await Transaction(connection).transaction("serializable").__aenter__()


async def test_a_transaction_whose_server_goes_away_says_so(database: Database) -> None:
    async def orphaned() -> None:
        async with database.transaction() as connection:
            session = Transaction(connection)
            own = await session.fetchval("SELECT pg_backend_pid()")
            await database.execute("SELECT pg_terminate_backend($1, 5000)", own)
            await session.fetch("SELECT 1")

    with pytest.raises(LedgerUnavailable):
        await orphaned()
