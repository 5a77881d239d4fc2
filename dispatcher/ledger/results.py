"""What a campaign has come to, beyond its counts. The statements are in `sql/results.sql`.

While its messages are here they tell it; when they are dropped it is written down, and read from there ever after.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from dispatcher.domain.archive import Results
from dispatcher.domain.ids import CampaignId
from dispatcher.domain.message import MessageState
from dispatcher.domain.receipt import ReceiptState
from dispatcher.domain.report import Ended, Reported
from dispatcher.ledger.database import Session
from dispatcher.ledger.queries import load
from dispatcher.ledger.rows import Row

SQL = load("results")


async def results_of(session: Session, campaign_id: CampaignId) -> Results:
    """A campaign's results, or its results so far. Reads all its messages, as long as they are here."""
    written = await session.fetchval(SQL["archived"], campaign_id)
    if written is not None:
        return from_json(written)
    times = await session.fetchrow(SQL["posting_time"], campaign_id)
    assert times is not None
    return Results(
        ended=[_ended(row) for row in await session.fetch(SQL["ended"], campaign_id)],
        reported=[_reported(row) for row in await session.fetch(SQL["reported"], campaign_id)],
        rejected_rows={
            row["reason"]: row["rows"] for row in await session.fetch(SQL["rejected"], campaign_id)
        },
        first_posted_at=times["first"],
        last_posted_at=times["last"],
    )


def to_json(results: Results) -> Mapping[str, Any]:
    """As they are written down."""
    return asdict(results)


def from_json(written: Mapping[str, Any]) -> Results:
    """As they were."""
    return Results(
        ended=[_ended(row) for row in written["ended"]],
        reported=[_reported(row) for row in written["reported"]],
        rejected_rows=written["rejected_rows"],
        first_posted_at=_time(written["first_posted_at"]),
        last_posted_at=_time(written["last_posted_at"]),
    )


def _ended(row: Row) -> Ended:
    return Ended(MessageState(row["state"]), row["reason"] or "", row["code"], row["people"])


def _reported(row: Row) -> Reported:
    return Reported(ReceiptState(row["state"]) if row["state"] else None, row["code"], row["people"])


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
