"""A ledger from before there were partitions: what it has becomes the first one, and nothing is lost or numbered twice."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from urllib.parse import urlsplit

import asyncpg
import pytest
from support.builders import a_phone
from support.ledger import Ledger, settle_all

from dispatcher.domain.ids import REPLIES, CampaignId, LaneId, MessageId, PersonKey
from dispatcher.domain.receipt import AttemptRef, ReceiptState, reported
from dispatcher.embedded import EmbeddedPostgres
from dispatcher.ledger import database as module
from dispatcher.ledger.database import Database

BEFORE = 12
"""The last migration without partitions."""
CAMPAIGN = 1_500


@pytest.fixture
async def old(postgres: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Database]:
    """A running campaign with three people, of whom one was sent to, and a reply, both with a report; then updated."""
    name = "before_partitions"
    maintenance = await asyncpg.connect(postgres.url)
    await maintenance.execute(f"CREATE DATABASE {name}")
    database = await Database.open(urlsplit(postgres.url)._replace(path=f"/{name}").geturl(), connections=4)
    shipped = module.migrations()
    with monkeypatch.context() as earlier:
        earlier.setattr(module, "migrations", lambda: shipped[:BEFORE])
        await database.migrate()
    await database.execute(
        """INSERT INTO senders (name, phone_number_id, phone, waba_id, status, lifecycle, quality, tier_label,
            limit_scope, rate_milli_per_s, token_ref)
        VALUES ('harbour', '1', '+12025550100', '1', 'CONNECTED', 'online', 'high', 'unlimited', 'sender', 80000, 'env:X')"""
    )
    await database.execute("SELECT setval('campaigns_id_seq', $1, false)", CAMPAIGN)
    await database.execute(
        """INSERT INTO campaigns (name, state, template, language, mapping, columns, unsure_policy, audience, started_at)
        VALUES ('old', 'running', 'autumn', 'en_US', '[]', '{}', 'give_up', 3, ledger_now())"""
    )
    await database.execute(
        "INSERT INTO lanes (campaign_id, sender_id, accepted) SELECT id, 1, 1 FROM campaigns"
    )
    for n in range(3):
        await database.execute(
            "INSERT INTO messages (campaign_id, person, person_key, params) VALUES ($1, $2, $2, '{}')",
            CAMPAIGN,
            a_phone(n),
        )
    await database.execute(
        "UPDATE messages SET state = 'accepted', wamid = 'wamid.1', sender_id = 1, attempt = 1 WHERE id = 1"
    )
    await database.execute(
        """INSERT INTO receipts (campaign_id, message_id, attempt, wamid, delivered_at)
        VALUES ($1, 1, 1, 'wamid.1', ledger_now()), (0, 1, 1, 'wamid.reply', ledger_now())""",
        CAMPAIGN,
    )
    await database.migrate()
    yield database
    await database.close()
    await maintenance.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await maintenance.close()


async def test_what_was_there_is_the_first_partition_and_goes_on(old: Database) -> None:
    ledger = Ledger(old)
    assert await ledger.campaigns.check() == []
    rows = await old.fetch("SELECT first_id, end_id FROM partitions ORDER BY 1")
    assert [tuple(row) for row in rows] == [(0, 1), (1, 2_001), (2_001, 3_001)]
    turn = await ledger.a_turn(LaneId(1), timedelta(minutes=1))
    messages = await ledger.turns.claim(turn, 10)
    assert [message.id for message in messages] == [2, 3]
    assert await settle_all(ledger, turn, messages) == 2
    view = await ledger.campaigns.message_to(CampaignId(CAMPAIGN), PersonKey(a_phone(0)))
    assert [receipt.state for receipt in view.receipts] == ["delivered"]
    assert await ledger.campaigns.check() == []


async def test_receipts_of_replies_are_found_where_replies_are(old: Database) -> None:
    assert await old.fetchval("SELECT count(*) FROM receipts_0") == 1
    ref = AttemptRef(REPLIES, MessageId(1), 1)
    read = reported(ReceiptState.READ, await old.fetchval("SELECT ledger_now()"))
    booked = await Ledger(old).receipts.book({ref: ("wamid.reply", read)})
    assert booked.unknown == {ref}, "there is no such reply in this ledger"


async def test_no_message_is_numbered_twice(old: Database) -> None:
    filled = await Ledger(old).a_campaign(people=2)
    assert filled.campaign.id == CAMPAIGN + 1
    ids = [row["id"] for row in await old.fetch("SELECT id FROM messages ORDER BY id")]
    assert ids == [1, 2, 3, 4, 5]
