"""What Meta's form of events needs besides, looked up for a batch at once. The statements are in `sql/relays.sql`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dispatcher.domain.event import Event, EventKind
from dispatcher.domain.gateway import MessageRef, RelayFacts
from dispatcher.domain.ids import REPLIES, PersonKey
from dispatcher.domain.message import MessageState
from dispatcher.domain.phone import comparison_key
from dispatcher.ledger.database import Session
from dispatcher.ledger.queries import load
from dispatcher.ledger.receipts import LedgerReceipts
from dispatcher.ledger.rows import Row

SQL = load("relays")


class LedgerRelays:
    """The port `RelayBook` on PostgreSQL."""

    def __init__(self, session: Session) -> None:
        self._db = session

    async def facts(self, events: Sequence[Event]) -> Sequence[RelayFacts | None]:
        """One for each event; None where nobody knows any more whom it concerns."""
        rows = await self._db.fetch(
            SQL["facts"],
            [_campaign_of(event.body) for event in events],
            [event.body.get("message_id") or event.body.get("reply_id") for event in events],
            [event.body.get("sender") for event in events],
        )
        named = await self._named(events)
        return [self._facts_of(event, row, named) for event, row in zip(events, rows, strict=True)]

    async def tidy(self, most: int) -> None:
        """Clear away what nothing will be told of any more, so many rows of each kind at most."""
        await self._db.execute(SQL["forget_callback_data"], most)
        await self._db.execute(SQL["forget_uploads"], most)

    def _facts_of(self, event: Event, row: Row, named: Mapping[str, MessageRef]) -> RelayFacts | None:
        if event.kind is EventKind.ACCOUNT_NEWS:
            return RelayFacts(event.body["waba_id"], None, None)
        if row["waba_id"] is None:
            return None
        return RelayFacts(
            waba_id=row["waba_id"],
            phone_number_id=row["phone_number_id"],
            phone=row["phone"],
            callback_data=row["callback_data"],
            state=MessageState(row["state"]) if row["state"] is not None else None,
            attempt=row["attempt"],
            named=named,
        )

    async def _named(self, events: Sequence[Event]) -> Mapping[str, MessageRef]:
        """Of all that people answer in these: Meta's id → the message, where it is ours."""
        asked: dict[str, PersonKey | None] = {}
        for event in events:
            wamid = event.body.get("context_wamid") if event.kind is EventKind.INBOUND_MESSAGE else None
            if wamid is not None:
                person = event.body["person"]
                asked[wamid] = PersonKey(comparison_key(person)) if person else None
        if not asked:
            return {}
        found = await LedgerReceipts(self._db).attempts_of(asked)
        return {wamid: MessageRef(ref.campaign_id, ref.message_id) for wamid, ref in found.items()}


def _campaign_of(body: Mapping[str, Any]) -> int | None:
    if body.get("reply_id") is not None:
        return REPLIES
    campaign: int | None = body.get("campaign_id")
    return campaign
