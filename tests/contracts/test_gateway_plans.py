"""What a call of the gateway asks costs the same whatever there is: a campaign of many, a long history, a full queue."""

from __future__ import annotations

import pytest
from support.builders import a_phone
from support.ledger import Ledger

from dispatcher.domain.campaign import UnsurePolicy
from dispatcher.domain.event import Event, EventId, EventKind
from dispatcher.domain.gateway import GatewayId
from dispatcher.domain.phone import Phone, parse_phone
from dispatcher.domain.standing import StandingPlan, TemplateOrder
from dispatcher.ledger.database import Connection, Transaction
from dispatcher.ledger.gateway import LedgerGateway
from dispatcher.ledger.relays import LedgerRelays
from dispatcher.ledger.standing import LedgerStanding

ROWS_MOST = 60


async def _rows_read(connection: Connection) -> int:
    sql = "SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0))::bigint FROM pg_stat_xact_user_tables"
    return int(await connection.fetchval(sql) or 0)


def a_number(n: int) -> Phone:
    phone = parse_phone(a_phone(n))
    assert isinstance(phone, Phone)
    return phone


@pytest.mark.parametrize("question", ["sender", "owner", "waiting", "facts", "add", "wamid", "relays"])
async def test_a_call_reads_a_few_rows(ledger: Ledger, question: str) -> None:
    harbour = await ledger.a_sender("harbour")
    await ledger.a_campaign(people=5_000, senders=[harbour])
    standing = LedgerStanding(ledger.database)
    plan = StandingPlan(harbour, "autumn", "en_US", ("body.1",), 0, UnsurePolicy.GIVE_UP)
    first, _ = await standing.add(plan, a_number(1), ["Ann"], "x")
    await ledger.database.execute(
        """INSERT INTO campaigns (name, state, template, language, mapping, columns, unsure_policy, kind, audience)
        SELECT 'done ' || n, 'completed', 'autumn', 'en_US', '[]', '{body.1}', 'give_up', 'standing', 1
        FROM generate_series(1, 3000) AS n"""
    )
    await ledger.database.execute(
        "INSERT INTO lanes (campaign_id, sender_id, accepted) SELECT id, $1, 1 FROM campaigns WHERE name LIKE 'done %'",
        harbour.id,
    )
    await ledger.database.execute(
        """INSERT INTO standing_campaigns
        SELECT id, $1, 'autumn', 'en_US', '{body.1}', ledger_now() FROM campaigns WHERE name LIKE 'done %'""",
        harbour.id,
    )
    await ledger.database.execute(
        """INSERT INTO inbound (wamid, sender_id, at, kind, content)
        SELECT 'w' || n, $1, ledger_now(), 'image', jsonb_build_object('image', jsonb_build_object('id', n::text))
        FROM generate_series(1, 5000) AS n""",
        harbour.id,
    )
    await ledger.database.execute("ANALYZE")
    event = Event(
        EventId(1),
        EventKind.MESSAGE_REFUSED,
        await ledger.database.fetchval("SELECT ledger_now()"),
        {"campaign_id": first.campaign_id, "message_id": first.message_id, "sender": "harbour"},
    )
    async with ledger.database.transaction() as connection:
        session = Transaction(connection)
        standing, book = LedgerStanding(session), LedgerGateway(session)
        asked = {
            "sender": lambda n: book.sender(harbour.phone_number_id),
            "owner": lambda n: book.owner("777"),
            "waiting": lambda n: standing.waiting(harbour, 100),
            "facts": lambda n: standing.facts(
                harbour, TemplateOrder(a_number(1), None, "autumn", "en_US", [])
            ),
            "add": lambda n: standing.add(plan, a_number(100 + n), ["Bob"], None),
            "wamid": lambda n: book.wamid_of(GatewayId("a", *first)),
            "relays": lambda n: LedgerRelays(session).facts([event]),
        }
        # why so often: after five times, the server may take one plan for whatever is asked.
        for n in range(8):
            before = await _rows_read(connection)
            assert await asked[question](n) is not None or question == "wamid"
            assert await _rows_read(connection) - before < ROWS_MOST
