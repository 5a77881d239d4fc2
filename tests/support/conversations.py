"""Conversations without webhooks: people who have written, as far as the ledger and Meta's side know."""

from __future__ import annotations

from datetime import timedelta

from dispatcher.domain.ids import ConversationId
from dispatcher.domain.phone import comparison_key
from dispatcher.domain.sender import Sender
from dispatcher.ledger.database import Database
from support.builders import a_phone
from support.world import World

DAY = timedelta(days=1)


async def a_conversation(
    database: Database,
    sender: Sender,
    person: str = a_phone(1),
    *,
    open_for: timedelta = DAY,
    user_id: str | None = None,
) -> ConversationId:
    """The person has written to the sender, and is answered in time for so long from now; past, if negative.

    person: E.164; empty where only the user id is known.
    """
    return ConversationId(
        await database.fetchval(
            """INSERT INTO conversations
                (sender_id, person_key, person, user_id, window_ends_at, last_inbound_at, last_inbound_wamid)
            VALUES ($1, $2, $3, $4, ledger_now() + $5::interval, ledger_now(), 'wamid.IN.' || $2)
            RETURNING id""",
            sender.id,
            comparison_key(person) if person else user_id,
            person or None,
            user_id,
            open_for,
        )
    )


async def has_written(world: World, sender: Sender, person: str = a_phone(1)) -> ConversationId:
    """The same, and Meta knows it, too."""
    await world.meta.window_opens(sender.phone_number_id, person)
    return await a_conversation(world.app.database, sender, person)
