"""Partitions: who asks about one campaign reads one of them, and the next is there before it is needed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from support.builders import a_phone
from support.ledger import Filled, Ledger, settle_all

from dispatcher.domain.campaign import CampaignState
from dispatcher.domain.grant import Reached
from dispatcher.domain.ids import CampaignId, PersonKey
from dispatcher.domain.message import MessageState, unsure
from dispatcher.domain.receipt import AttemptRef, ReceiptState, reported
from dispatcher.ledger.conversations import LedgerConversations
from dispatcher.ledger.database import Database
from dispatcher.ledger.listings import LedgerListings
from dispatcher.ledger.partitions import prepare

MONTH = timedelta(days=30)
PARTITIONS = 12
IDS = 1_000
OF_LIVE = {"messages_11001", "receipts_11001"}

Asked = Callable[[Ledger, Filled], Awaitable[object]]


async def posted(ledger: Ledger, filled: Filled) -> list[AttemptRef]:
    """A turn that claims ten, of whom Meta takes nine and the last answer is lost."""
    turn = await ledger.a_turn(filled.lanes[0])
    messages = await ledger.turns.claim(turn, 10)
    await settle_all(ledger, turn, messages[:9])
    await ledger.turns.settle(turn, [unsure(messages[9].id, "answer_lost")])
    await ledger.turns.close_turn(turn, None)
    return [AttemptRef(filled.campaign.id, message.id, 1) for message in messages]


async def report_failures(ledger: Ledger, filled: Filled) -> None:
    refs = await posted(ledger, filled)
    now = filled.campaign.created_at
    failed = reported(ReceiptState.FAILED, now, code=131026)
    booked = await ledger.receipts.book({ref: (f"wamid.{ref.message_id}", failed) for ref in refs})
    assert len(booked.failed) == len(refs)
    await ledger.receipts.settle(sorted(booked.unsettled))
    assert len(await ledger.receipts.failures(sorted(booked.failed))) == len(refs)


async def report_without_token(ledger: Ledger, filled: Filled) -> None:
    ref, *_ = await posted(ledger, filled)
    person = (await ledger.campaigns.message(ref.campaign_id, ref.message_id)).person
    found = await ledger.receipts.attempts_of({f"wamid.{ref.message_id}": PersonKey(person)})
    assert list(found.values()) == [ref]


async def decide_unsure(ledger: Ledger, filled: Filled) -> None:
    refs = await posted(ledger, filled)
    assert await ledger.unsure.release(refs[9:]) == 1


async def opt_out(ledger: Ledger, filled: Filled) -> None:
    person = PersonKey(a_phone(7))
    assert await ledger.suppressions.pools_of([person])
    await ledger.suppressions.put([(person, person)], "asked_not_to", "a test")
    assert (await ledger.campaigns.counts(filled.campaign.id)).suppressed == 1


async def rebuild(ledger: Ledger, filled: Filled) -> None:
    await posted(ledger, filled)
    [sender] = [s for s in await ledger.senders.all() if s.id in filled.campaign.senders]
    reached: list[Reached] = []
    async for chunk in ledger.turns.reached_of_pool(sender.pool, filled.campaign.created_at):
        reached += chunk
    assert len(reached) == 10


async def look_at(ledger: Ledger, filled: Filled) -> None:
    campaign = filled.campaign.id
    await posted(ledger, filled)
    assert sum([len(rows) async for rows in ledger.campaigns.export(campaign)]) == 500
    results = await ledger.campaigns.results(campaign)
    assert (len(results.ended), len(results.reported)) == (1, 1)
    await ledger.campaigns.parked(campaign)
    await ledger.campaigns.message_to(campaign, PersonKey(a_phone(3)))


async def turn_pages(ledger: Ledger, filled: Filled) -> None:
    page = await LedgerListings(ledger.database).messages(filled.campaign.id, 0, 50, MessageState.PENDING)
    assert len(page.items) == 50


async def read_a_conversation(ledger: Ledger, filled: Filled) -> None:
    await posted(ledger, filled)
    conversation = await ledger.database.fetchval(
        """INSERT INTO conversations (sender_id, person_key, free_entry_at)
        VALUES ($1, $2, ledger_now() - interval '1 hour') RETURNING id""",
        filled.campaign.senders[0],
        a_phone(0),
    )
    transcript = await LedgerConversations(ledger.database).transcript(conversation, 10)
    assert len(transcript.spoken) == 1


async def cancel(ledger: Ledger, filled: Filled) -> None:
    await ledger.campaigns.move(filled.campaign.id, CampaignState.CANCELLED)
    dropped = await ledger.campaigns.drop_pending(filled.campaign.id, MessageState.CANCELLED, "cancelled")
    assert dropped == 500


@pytest.fixture
async def live(ledger: Ledger) -> Filled:
    """The campaign that runs, in the last partition of twelve; in each of the others lies one that is over."""
    for first in range(IDS * 2 + 1, IDS * PARTITIONS + 1, IDS):
        await ledger.database.execute("SELECT add_partition($1, $2)", first, first + IDS)
    await ledger.database.execute(
        """INSERT INTO messages (campaign_id, person, person_key, params, state)
        SELECT first_id, n, n, '{}', 'cancelled'
        FROM partitions, generate_series(1, 50) AS n
        WHERE first_id BETWEEN 1 AND $1""",
        IDS * (PARTITIONS - 1),
    )
    await number_from(ledger, IDS * (PARTITIONS - 1) + 1)
    live = await ledger.a_campaign(people=500)
    assert live.campaign.id == 11_001
    await ledger.database.execute("ANALYZE")
    return live


async def number_from(ledger: Ledger, campaign_id: int) -> None:
    """The next campaign gets this number."""
    await ledger.database.execute("SELECT setval('campaigns_id_seq', $1, false)", campaign_id)


async def scans(database: Database) -> dict[str, int]:
    """How often each partition was read so far, by all who have told."""
    await database.execute("SELECT pg_stat_force_next_flush()")
    await database.execute("SELECT pg_stat_clear_snapshot()")
    rows = await database.fetch(
        """SELECT relname, seq_scan + coalesce(idx_scan, 0) AS scans
        FROM pg_stat_user_tables WHERE relname ~ '^(messages|receipts)_'"""
    )
    return {row["relname"]: row["scans"] for row in rows}


@pytest.mark.parametrize("plans", ["force_custom_plan", "force_generic_plan"])
@pytest.mark.parametrize(
    "ask",
    [
        posted,
        report_failures,
        report_without_token,
        decide_unsure,
        opt_out,
        rebuild,
        look_at,
        turn_pages,
        read_a_conversation,
        cancel,
    ],
)
async def test_who_asks_about_one_campaign_reads_its_partition_alone(
    database_url: str, ledger: Ledger, live: Filled, ask: Asked, plans: str
) -> None:
    # why one connection: what it has read is known when it says so.
    database = await Database.open(database_url, connections=1)
    await database.execute(f"SET plan_cache_mode = {plans}")
    before = await scans(database)
    await ask(Ledger(database), live)
    after = await scans(database)
    await database.close()
    read = {name for name in after if after[name] > before.get(name, 0)}
    assert "messages_11001" in read
    assert read <= OF_LIVE


async def ranges(ledger: Ledger) -> list[tuple[int, int]]:
    """Of all partitions but that of replies."""
    rows = await ledger.database.fetch(
        "SELECT first_id, end_id FROM partitions WHERE first_id > 0 ORDER BY 1"
    )
    return [(row["first_id"], row["end_id"]) for row in rows]


async def aged(ledger: Ledger, campaign_id: CampaignId) -> None:
    """A month passes."""
    sql = "UPDATE campaigns SET created_at = created_at - $1::interval WHERE id = $2"
    await ledger.database.execute(sql, MONTH, campaign_id)


async def test_a_month_after_its_first_campaign_a_partition_is_followed_by_the_next(ledger: Ledger) -> None:
    first = await ledger.a_campaign()
    assert await prepare(ledger.database, MONTH)
    assert (await ledger.a_campaign()).campaign.id == 2
    await aged(ledger, first.campaign.id)
    assert await prepare(ledger.database, MONTH)
    assert (await ledger.a_campaign()).campaign.id == 1_001
    assert await prepare(ledger.database, MONTH)
    assert await ranges(ledger) == [(1, 1_001), (1_001, 2_001), (2_001, 3_001)]


async def test_months_without_campaigns_use_up_no_partition(ledger: Ledger) -> None:
    await aged(ledger, (await ledger.a_campaign()).campaign.id)
    for _ in range(5):
        assert await prepare(ledger.database, MONTH)
    assert await ranges(ledger) == [(1, 1_001), (1_001, 2_001), (2_001, 3_001)]
    assert (await ledger.a_campaign()).campaign.id == 1_001


async def test_a_partition_that_was_used_up_early_is_followed_by_a_larger_one(ledger: Ledger) -> None:
    await ledger.a_campaign()
    await number_from(ledger, 1_001)
    await ledger.a_campaign()
    assert await prepare(ledger.database, MONTH)
    assert await ranges(ledger) == [(1, 1_001), (1_001, 2_001), (2_001, 12_001)]


async def test_whoever_creates_campaigns_beyond_the_last_partition_makes_one_and_only_one_does(
    ledger: Ledger,
) -> None:
    await number_from(ledger, 2_001)
    made = await asyncio.gather(*(ledger.a_campaign(people=3) for _ in range(4)))
    assert sorted(filled.campaign.id for filled in made) == [2_001, 2_002, 2_003, 2_004]
    assert await ranges(ledger) == [(1, 1_001), (1_001, 2_001), (2_001, 12_001)]
    assert await ledger.campaigns.check() == []


async def test_two_who_prepare_at_once_make_one_partition(ledger: Ledger) -> None:
    await number_from(ledger, 1_001)
    assert all(await asyncio.gather(*(prepare(ledger.database, MONTH) for _ in range(3))))
    assert await ranges(ledger) == [(1, 1_001), (1_001, 2_001), (2_001, 3_001)]


async def test_a_partition_is_made_while_others_read_and_write(ledger: Ledger) -> None:
    filled = await ledger.a_campaign()
    await number_from(ledger, 1_001)
    async with ledger.database.transaction() as busy:
        await busy.execute("UPDATE messages SET line = 7 WHERE campaign_id = $1", filled.campaign.id)
        await busy.fetch("SELECT * FROM messages JOIN receipts USING (campaign_id)")
        assert await prepare(ledger.database, MONTH)
    assert len(await ranges(ledger)) == 3


async def test_the_next_partition_waits_for_whoever_has_just_taken_a_number(ledger: Ledger) -> None:
    first = await ledger.a_campaign()
    await aged(ledger, first.campaign.id)
    async with ledger.database.transaction() as creating:
        await creating.execute("SELECT nextval('campaigns_id_seq')")
        assert not await prepare(ledger.database, MONTH)
    assert (await ledger.a_campaign()).campaign.id == 3
    assert await prepare(ledger.database, MONTH)
    assert (await ledger.a_campaign()).campaign.id == 1_001
