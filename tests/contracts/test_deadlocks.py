"""Two transactions that wait for each other: PostgreSQL breaks one off, and it may be asked again."""

from __future__ import annotations

import asyncio

import pytest
from support.ledger import Ledger

from dispatcher.domain.errors import LedgerUnavailable

RENAME = "UPDATE senders SET origin = $2 WHERE name = $1"


async def test_whoever_is_broken_off_is_told_to_ask_again_and_has_done_nothing(ledger: Ledger) -> None:
    for name in ("harbour", "quay"):
        await ledger.a_sender(name)
    both_hold_one = asyncio.Barrier(2)

    async def rename(first: str, then: str, origin: str) -> None:
        async with ledger.database.transaction() as connection:
            await connection.execute(RENAME, first, origin)
            await both_hold_one.wait()
            await connection.execute(RENAME, then, origin)

    said = await asyncio.gather(
        rename("harbour", "quay", "one"), rename("quay", "harbour", "two"), return_exceptions=True
    )
    [broken_off] = [error for error in said if error is not None]
    assert isinstance(broken_off, LedgerUnavailable)
    origins = await ledger.database.fetch("SELECT DISTINCT origin FROM senders")
    assert [row["origin"] for row in origins] == ["one" if said[0] is None else "two"]
    with pytest.raises(LedgerUnavailable, match="nothing of it was done"):
        raise broken_off
