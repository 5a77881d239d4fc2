"""Old campaigns: their people are dropped with their partition, and nothing that is still needed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from support.ledger import Filled, Ledger, settle_all

from dispatcher.domain.archive import KeptBecause
from dispatcher.domain.campaign import CampaignState
from dispatcher.domain.hold import HoldReason
from dispatcher.domain.ids import CampaignId, MessageId
from dispatcher.domain.message import again_later, refused, unsure
from dispatcher.domain.receipt import AttemptRef, Booked, ReceiptState, reported
from dispatcher.ledger.archive import LedgerArchive
from dispatcher.ledger.fence import LedgerFence

KEEP = timedelta(days=40)
LONG_AGO = timedelta(days=50)


@pytest.fixture
def archive(ledger: Ledger) -> LedgerArchive:
    return LedgerArchive(ledger.database)


async def ended(ledger: Ledger, people: int = 8) -> Filled:
    """A campaign that came to an end: one was refused, one was tried twice, all others were delivered."""
    filled = await ledger.a_campaign(people=people)
    turn = await ledger.a_turn(filled.lanes[0])
    first, second, *others = await ledger.turns.claim(turn, people)
    again = again_later(second.id, None, reason=HoldReason.RETRY_LATER, code=131049, detail="not now")
    gone = refused(first.id, "undeliverable", code=131026, detail="no such person", posted=True)
    await ledger.turns.settle(turn, [gone, again])
    others += await ledger.turns.claim(turn, people)
    await settle_all(ledger, turn, others)
    await ledger.turns.close_turn(turn, None)
    delivered = reported(ReceiptState.DELIVERED, filled.campaign.created_at)
    await ledger.receipts.book(
        {AttemptRef(filled.campaign.id, m.id, m.attempt): (f"wamid.{m.id}", delivered) for m in others}
    )
    await ledger.database.execute(
        """INSERT INTO rejected_rows (campaign_id, line, "column", reason, value)
        VALUES ($1, 100, 'phone', 'not_a_number', 'x'), ($1, 101, 'phone', 'not_a_number', 'y')""",
        filled.campaign.id,
    )
    return filled


async def pass_by(ledger: Ledger, time: timedelta = LONG_AGO) -> None:
    """So much time passes, and campaigns begin in the next partition."""
    await ledger.database.execute("UPDATE campaigns SET finished_at = finished_at - $1::interval", time)
    await ledger.database.execute("SELECT setval('campaigns_id_seq', 1001, false)")


async def rows(ledger: Ledger, table: str) -> int:
    return int(await ledger.database.fetchval(f"SELECT count(*) FROM {table} WHERE campaign_id > 0"))  # noqa: S608 - our own name


async def is_there(ledger: Ledger) -> bool:
    sql = "SELECT count(*) FROM pg_class WHERE relname IN ('messages_1', 'receipts_1')"
    return bool(await ledger.database.fetchval(sql))


async def test_the_people_of_old_campaigns_go_and_their_numbers_stay(
    ledger: Ledger, archive: LedgerArchive
) -> None:
    filled = await ended(ledger)
    before = (
        await ledger.campaigns.counts(filled.campaign.id),
        await ledger.campaigns.results(filled.campaign.id),
    )
    await pass_by(ledger)
    [partition] = await archive.partitions()
    assert (partition.first, partition.last, partition.campaigns, partition.people) == (1, 1_000, 1, 8)
    assert await archive.drop(partition, KEEP) == []
    assert not await is_there(ledger)
    assert await rows(ledger, "messages") + await rows(ledger, "receipts") == 0
    assert (await ledger.campaigns.find(filled.campaign.id)).archived_at is not None
    after = (
        await ledger.campaigns.counts(filled.campaign.id),
        await ledger.campaigns.results(filled.campaign.id),
    )
    assert after == before
    assert await ledger.campaigns.check() == []
    assert await archive.partitions() == []


async def test_what_else_old_campaigns_had_is_deleted_some_at_a_time(
    ledger: Ledger, archive: LedgerArchive
) -> None:
    await ended(ledger)
    await pass_by(ledger)
    [partition] = await archive.partitions()
    await archive.drop(partition, KEEP)
    assert await rows(ledger, "attempts") + await rows(ledger, "rejected_rows") == 3
    assert [await archive.clear(1) for _ in range(5)] == [1, 1, 1, 0, 0]
    assert await rows(ledger, "attempts") + await rows(ledger, "rejected_rows") == 0


Spoil = Callable[[Ledger, Filled], Awaitable[object]]


async def a_draft(ledger: Ledger, filled: Filled) -> None:
    await ledger.a_campaign(people=3, state=CampaignState.DRAFT)
    await pass_by(ledger)


async def running(ledger: Ledger, filled: Filled) -> None:
    await ledger.a_campaign(people=3)
    await pass_by(ledger)


async def paused(ledger: Ledger, filled: Filled) -> None:
    await ledger.campaigns.move((await ledger.a_campaign(people=3)).campaign.id, CampaignState.PAUSED)
    await pass_by(ledger)


async def young(ledger: Ledger, filled: Filled) -> None:
    await pass_by(ledger, KEEP - timedelta(hours=1))


async def an_unsure_message(ledger: Ledger, filled: Filled) -> None:
    other = await ledger.a_campaign(people=1)
    turn = await ledger.a_turn(other.lanes[0])
    [message] = await ledger.turns.claim(turn, 1)
    await ledger.turns.settle(turn, [unsure(message.id, "answer_lost")])
    await ledger.turns.close_turn(turn, None)
    await pass_by(ledger)


async def a_turn_that_has_not_settled(ledger: Ledger, filled: Filled) -> None:
    other = await ledger.a_campaign(people=1)
    assert await ledger.turns.claim(await ledger.a_turn(other.lanes[0]), 1)
    await ledger.campaigns.move(other.campaign.id, CampaignState.CANCELLED)
    await pass_by(ledger)


async def a_counter_that_is_wrong(ledger: Ledger, filled: Filled) -> None:
    await ledger.database.execute("UPDATE lanes SET accepted = accepted + 1")
    await pass_by(ledger)


async def a_message_that_is_missing(ledger: Ledger, filled: Filled) -> None:
    await ledger.database.execute("DELETE FROM messages WHERE state = 'refused'")
    await pass_by(ledger)


async def another_place(ledger: Ledger, filled: Filled) -> None:
    await LedgerFence(ledger.database).learn()
    await ledger.database.execute('UPDATE instance SET place = place || \'{"timeline": "77"}\'')
    await pass_by(ledger)


@pytest.mark.parametrize(
    ("spoil", "because"),
    [
        (a_draft, KeptBecause.UNFINISHED),
        (running, KeptBecause.UNFINISHED),
        (paused, KeptBecause.UNFINISHED),
        (young, KeptBecause.YOUNG),
        (an_unsure_message, KeptBecause.UNSURE),
        (a_turn_that_has_not_settled, KeptBecause.IN_HAND),
        (a_counter_that_is_wrong, KeptBecause.DIFFERENT),
        (a_message_that_is_missing, KeptBecause.DIFFERENT),
        (another_place, KeptBecause.FENCED),
    ],
)
async def test_what_one_campaign_needs_its_whole_partition_keeps(
    ledger: Ledger, archive: LedgerArchive, spoil: Spoil, because: KeptBecause
) -> None:
    filled = await ended(ledger)
    await spoil(ledger, filled)
    [partition] = await archive.partitions()
    assert await archive.drop(partition, KEEP) == [because]
    assert await is_there(ledger)
    assert (await ledger.campaigns.find(filled.campaign.id)).archived_at is None


async def test_nothing_is_dropped_of_the_partition_in_which_campaigns_begin(
    ledger: Ledger, archive: LedgerArchive
) -> None:
    await ended(ledger)
    await ledger.database.execute("UPDATE campaigns SET finished_at = finished_at - $1::interval", LONG_AGO)
    assert await archive.partitions() == []


@pytest.mark.parametrize(
    "work", ["SELECT * FROM messages", "UPDATE receipts SET detail = '' WHERE campaign_id = 1"]
)
async def test_who_reads_or_writes_old_people_is_not_disturbed(
    ledger: Ledger, archive: LedgerArchive, work: str
) -> None:
    filled = await ended(ledger)
    await pass_by(ledger)
    [partition] = await archive.partitions()
    async with ledger.database.transaction() as busy:
        await busy.execute(work)
        assert await archive.drop(partition, KEEP) == [KeptBecause.BUSY]
        assert await busy.fetchval("SELECT count(*) FROM messages") == 8
    assert (await ledger.campaigns.find(filled.campaign.id)).archived_at is None
    assert await archive.drop(partition, KEEP) == []


async def test_two_who_drop_at_once_drop_it_once(ledger: Ledger, archive: LedgerArchive) -> None:
    await ended(ledger)
    await pass_by(ledger)
    [partition] = await archive.partitions()
    assert await asyncio.gather(archive.drop(partition, KEEP), archive.drop(partition, KEEP)) == [[], []]
    assert await ledger.database.fetchval("SELECT count(*) FROM archived_reports") == 1


async def test_a_report_about_somebody_who_is_gone_is_known_as_that(
    ledger: Ledger, archive: LedgerArchive
) -> None:
    filled = await ended(ledger)
    ref = AttemptRef(filled.campaign.id, MessageId(1), 1)
    strange = AttemptRef(CampaignId(999), MessageId(1), 1)
    await pass_by(ledger)
    [partition] = await archive.partitions()
    await archive.drop(partition, KEEP)
    read = reported(ReceiptState.READ, filled.campaign.created_at)
    booked = await ledger.receipts.book({ref: ("wamid.1", read), strange: ("wamid.2", read)})
    assert booked == Booked(frozenset({strange}), frozenset(), frozenset(), frozenset({ref}))


async def test_old_news_and_old_entries_of_the_audit_log_are_forgotten_some_at_a_time(
    ledger: Ledger, archive: LedgerArchive
) -> None:
    await ledger.database.execute(
        """INSERT INTO account_news (key, waba_id, field, value, received_at)
        SELECT n, '1', 'account_update', '{}', ledger_now() - n * interval '1 day' FROM generate_series(0, 9) AS n"""
    )
    await ledger.database.execute(
        """INSERT INTO audit_log (actor_kind, actor, outcome, action, subject, at, last_at)
        SELECT 'command', 'ann', 'done', 'x', n, ledger_now(), ledger_now() - n * interval '1 day'
        FROM generate_series(9, 0, -1) AS n"""
    )
    span = timedelta(days=4, hours=12)
    assert [await archive.forget(span, span, 3) for _ in range(4)] == [6, 4, 0, 0]
    left = await ledger.database.fetch("SELECT subject FROM audit_log ORDER BY id")
    assert [row["subject"] for row in left] == ["4", "3", "2", "1", "0"]
    assert await ledger.database.fetchval("SELECT count(*) FROM account_news") == 5
