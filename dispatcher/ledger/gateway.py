"""What clients of Meta's own API name, looked up: whose token opens a thing of Meta, and what Meta calls a message of ours.

The statements are in `sql/gateway.sql`.
"""

from __future__ import annotations

from dispatcher.domain.gateway import GatewayId, MessageRef
from dispatcher.domain.sender import Sender
from dispatcher.ledger.database import Session
from dispatcher.ledger.queries import load
from dispatcher.ledger.rows import sender_of

SQL = load("gateway")


class LedgerGateway:
    """The port `GatewayBook` on PostgreSQL."""

    def __init__(self, session: Session) -> None:
        self._db = session

    async def sender(self, phone_number_id: str) -> Sender | None:
        """The sender with this number."""
        row = await self._db.fetchrow(SQL["sender_by_number"], phone_number_id)
        return None if row is None else sender_of(row)

    async def owner(self, node_id: str) -> tuple[Sender, str] | None:
        """Whose token opens this thing of Meta, and what it is: number, account, media or template."""
        row = await self._db.fetchrow(SQL["sender_by_node"], node_id)
        return None if row is None else (sender_of(row), row["kind"])

    async def keep_upload(self, media_id: str, sender: Sender) -> None:
        """Remember whose media it is, for as long as Meta keeps it."""
        await self._db.execute(SQL["keep_upload"], media_id, sender.id)

    async def keep_callback_data(self, taken: MessageRef, data: str) -> None:
        """Remember what comes back with each report of a message."""
        await self._db.execute(SQL["keep_callback_data"], taken.campaign_id, taken.message_id, data)

    async def wamid_of(self, named: GatewayId) -> str | None:
        """What Meta calls a message of ours; None where Meta has not taken it yet, or there is none."""
        if named.is_reply:
            found = await self._db.fetchval(SQL["wamid_of_reply"], named.message_id)
        else:
            found = await self._db.fetchval(SQL["wamid_of_message"], named.campaign_id, named.message_id)
        return None if found is None else str(found)
