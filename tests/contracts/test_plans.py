"""How PostgreSQL goes about the hot statements: by index, whatever the size of the campaign. A lost index shows here."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from support.builders import a_phone
from support.ledger import Filled, Ledger

from dispatcher.domain.ids import PersonKey
from dispatcher.domain.message import ClaimedMessage
from dispatcher.domain.turn import OpenedTurn
from dispatcher.ledger.conversations import LedgerConversations
from dispatcher.ledger.database import Connection, Transaction
from dispatcher.ledger.partitions import PartitionId, within
from dispatcher.ledger.queries import load
from dispatcher.ledger.replies import LedgerReplies

PEOPLE = 20_000
FIRST = PartitionId(1)
TURNS, RECEIPTS, SUPPRESSIONS = load("turns"), load("receipts"), load("suppressions")


@pytest.fixture
async def filled(ledger: Ledger) -> Filled:
    """Large enough that reading all of it is not the cheapest way; with statistics, as autovacuum keeps them."""
    filled = await ledger.a_campaign(people=PEOPLE)
    await ledger.database.execute("ANALYZE")
    return filled


async def touched(ledger: Ledger, statement: str, *arguments: object) -> list[str]:
    """Run it on the first campaign's partition and return the lines of its plan that read messages."""
    explained = f"EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) {within(statement, FIRST)}"
    rows = await ledger.database.fetch(explained, *arguments)
    return [row[0].strip() for row in rows if re.search(r"(Scan|Update) .*\bon (messages|receipts)_", row[0])]


def is_by_index(line: str) -> bool:
    return "Seq Scan" not in line


async def a_claim(ledger: Ledger, filled: Filled) -> tuple[OpenedTurn, list[ClaimedMessage]]:
    turn = await ledger.a_turn(filled.lanes[0], timedelta(minutes=5))
    return turn, list(await ledger.turns.claim(turn, 100))


@pytest.mark.parametrize("is_busy", [False, True], ids=["quiet", "beside much that was said"])
async def test_a_claim_reads_what_it_takes_and_finds_it_by_its_place(
    ledger: Ledger, filled: Filled, is_busy: bool
) -> None:
    turn, _ = await a_claim(ledger, filled)
    if is_busy:
        await ledger.database.execute(
            """WITH other AS (INSERT INTO conversations (sender_id, person_key, window_ends_at)
                SELECT $1, '+49170' || n, ledger_now() + interval '1 day' FROM generate_series(1, 20000) AS n)
            INSERT INTO suppressions (person_key, person, reason, source)
            SELECT '+49171' || n, '+49171' || n, 'opted_out', 'a test' FROM generate_series(1, 20000) AS n""",
            turn.sender.id,
        )
        await ledger.database.execute("ANALYZE")
    arguments = (turn.campaign.id, turn.lane_id, turn.turn_id, turn.sender.id, 500, True, True)
    lines = await touched(ledger, TURNS["claim"], *arguments)
    [looked_at] = [line for line in lines if "Index Scan using messages_1_pending" in line]
    assert int(re.findall(r"rows=(\d+)", looked_at)[-1]) == 500, looked_at
    assert any("Tid Scan" in line for line in lines), lines
    assert all(map(is_by_index, lines)), lines


async def test_a_settling_finds_its_messages_by_their_key(ledger: Ledger, filled: Filled) -> None:
    turn, messages = await a_claim(ledger, filled)
    ids, wamids = [m.id for m in messages], [f"wamid.{m.id}" for m in messages]
    key = (turn.campaign.id, turn.lane_id, turn.turn_id)
    of_turn = [[turn.lane_id], [turn.turn_id], [turn.campaign.id]]
    taken = [["\n".join(map(str, ids[:50]))], ["\n".join(wamids[:50])]]
    lines = await touched(ledger, TURNS["settle_accepted"], *of_turn, *taken)
    rest = [[id_] for id_ in ids[50:51]]
    lines += await touched(
        ledger,
        TURNS["settle"],
        *key,
        *rest,
        ["unsure"],
        [None],
        [None],
        ["answer_lost"],
        [None],
        [None],
        [True],
    )
    assert any("messages_1_pkey" in line for line in lines), lines
    assert all(map(is_by_index, lines)), lines


async def test_reports_find_their_messages_by_their_key(ledger: Ledger, filled: Filled) -> None:
    turn, messages = await a_claim(ledger, filled)
    n = len(messages)
    nothing = [None] * n
    columns = (
        [turn.campaign.id] * n,
        [m.id for m in messages],
        [1] * n,
        [f"wamid.{m.id}" for m in messages],
        [turn.campaign.created_at] * n,
        *[nothing] * 8,
    )
    lines = await touched(ledger, RECEIPTS["book"], *columns)
    assert any("messages_1_pkey" in line for line in lines), lines
    assert all(map(is_by_index, lines)), lines


async def test_a_campaigns_next_wait_is_read_off_the_index(ledger: Ledger, filled: Filled) -> None:
    lines = await touched(ledger, TURNS["earliest_pending"], filled.campaign.id)
    assert len(lines) == 1
    assert "messages_1_pending" in lines[0]


async def test_whoever_opts_out_is_found_in_a_campaign_by_their_key(ledger: Ledger, filled: Filled) -> None:
    person = a_phone(7)
    await ledger.suppressions.put([(PersonKey(person), person)], "asked_not_to", "a test")
    await ledger.database.execute("UPDATE messages SET state = 'pending' WHERE state = 'suppressed'")
    for name in ("pools_of", "sweep"):
        lines = await touched(ledger, SUPPRESSIONS[name], [person])
        assert lines
        assert all(map(is_by_index, lines)), (name, lines)


async def test_pages_of_conversations_and_replies_read_no_more_than_they_show(ledger: Ledger) -> None:
    busy, quiet = await ledger.a_sender(name="busy"), await ledger.a_sender(name="quiet")
    await ledger.database.execute(
        """INSERT INTO conversations (sender_id, person_key, last_inbound_at)
        SELECT CASE WHEN n % 1000 = 0 THEN $1::bigint ELSE $2 END, n, ledger_now() - n * interval '1 second'
        FROM generate_series(1, 20000) AS n""",
        quiet.id,
        busy.id,
    )
    await ledger.database.execute(
        """INSERT INTO replies (conversation_id, sender_id, position, content, unsure_policy, state)
        SELECT id, sender_id, 1, '{}', 'give_up', 'accepted' FROM conversations"""
    )
    await ledger.database.execute("ANALYZE")
    [last] = await ledger.database.fetch(
        "SELECT last_inbound_at, id FROM conversations WHERE person_key = '9000'"
    )
    async with ledger.database.transaction() as connection:
        conversations = LedgerConversations(Transaction(connection))
        replies = LedgerReplies(Transaction(connection))
        for table, page in (
            ("conversations", lambda: conversations.page(None, 10, sender=quiet.id)),
            ("conversations", lambda: conversations.page((last["last_inbound_at"], last["id"]), 10)),
            ("replies", lambda: replies.page(None, 10, sender=quiet.id)),
        ):
            # why so often: after five times, the server may take one plan for whatever is asked.
            for _ in range(8):
                before = await _rows_read(connection, table)
                assert len((await page()).items) == 10
                assert await _rows_read(connection, table) - before < 100, table


async def _rows_read(connection: Connection, table: str) -> int:
    return int(
        await connection.fetchval(
            "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = $1", table
        )
    )
