"""What is remembered beyond one message: holds of whole senders, templates, accounts, portfolios; and people.

The statements are in `sql/memory.sql`. What an answer of Meta means is decided by the engine.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from dispatcher.domain.gate import HeldScope
from dispatcher.domain.hold import Hold
from dispatcher.domain.ids import CampaignId, MessageId, PersonKey
from dispatcher.domain.turn import Held
from dispatcher.ledger.database import Session
from dispatcher.ledger.queries import load
from dispatcher.ledger.rows import sender_of
from dispatcher.ledger.suppressions import LedgerSuppressions

SQL = load("memory")

LONGEST_HOLD = timedelta(days=7)
"""How far a hold that keeps coming back may grow."""


class LedgerMemory:
    """The port `Memory` on PostgreSQL."""

    def __init__(self, session: Session) -> None:
        self._db = session

    async def put_hold(self, scope: HeldScope, key: str, hold: Hold, code: int | None) -> Held:
        """Hold everything in a scope."""
        async with self._db.transaction() as connection:
            until = await connection.fetchval(
                SQL["put_hold"], scope, key, hold.reason, hold.until, hold.detail, code, LONGEST_HOLD
            )
            rows = await connection.fetch(SQL["senders_in_scope"], scope, key)
        return Held(Hold(hold.reason, until, hold.detail), [sender_of(row) for row in rows])

    async def suppress(
        self, person: str, key: PersonKey, reason: str, source: str, until: datetime | None = None
    ) -> None:
        """Put a person on the suppression list, and take them out of campaigns."""
        await LedgerSuppressions(self._db).put([(key, person)], reason, source, until)

    async def opt_out(self, person: str, key: PersonKey, source: str, at: datetime) -> None:
        """The person wants no more campaigns."""
        await LedgerSuppressions(self._db).opt_out(key, person, source, at)

    async def cool_down(self, key: PersonKey, first: timedelta, longest: timedelta) -> datetime:
        """No marketing for this person for a while; returns until when."""
        until: datetime = await self._db.fetchval(SQL["cool_down"], key, first, longest)
        return until

    async def count_undeliverable(self, key: PersonKey) -> int:
        """Once more this person could not be reached."""
        return int(await self._db.fetchval(SQL["count_undeliverable"], key))

    async def times_refused(self, campaign_id: CampaignId, message_id: MessageId, code: int) -> int:
        """How often earlier attempts of a message were refused with this code."""
        return int(await self._db.fetchval(SQL["times_refused"], campaign_id, message_id, code))
