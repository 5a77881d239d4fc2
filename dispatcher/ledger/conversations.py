"""Conversations in the ledger: what people said goes in, merges join them, and people look at them.

`LedgerPeople` is what one batch of webhooks needs of people, within its transaction; `LedgerConversations` answers questions.
The statements are in `sql/conversations.sql`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import asyncpg

from dispatcher.domain.conversation import (
    ConversationPlace,
    ConversationView,
    Heard,
    Spoken,
    Transcript,
)
from dispatcher.domain.errors import NotFound
from dispatcher.domain.identity import Met, Sighting
from dispatcher.domain.ids import ConversationId, PersonKey, SenderId
from dispatcher.domain.listing import Page
from dispatcher.domain.sender import Sender
from dispatcher.domain.window import ServiceWindow
from dispatcher.ledger.database import Session
from dispatcher.ledger.identities import LedgerIdentities
from dispatcher.ledger.listings import plan_anew
from dispatcher.ledger.queries import load
from dispatcher.ledger.rows import sender_of
from dispatcher.ledger.suppressions import LedgerSuppressions

SQL = load("conversations")


class LedgerPeople:
    """The port `PeopleBook` on PostgreSQL."""

    def __init__(self, session: Session) -> None:
        self._db = session
        self._identities = LedgerIdentities(session)
        self._suppressions = LedgerSuppressions(session)

    async def meet(self, sightings: Sequence[Sighting]) -> Met:
        """Who each of them is; what was kept of two who turn out to be one is joined."""
        met = await self._identities.meet(sightings)
        for merge in met.merges:
            await self._db.execute(SQL["rename"], merge.former, merge.key, merge.until, merge.person)
            await self._db.execute(SQL["absorb"], merge.former, merge.key, merge.until, merge.person)
            await self._suppressions.merge(merge)
        return met

    async def hear(self, heard: Sequence[Heard]) -> Sequence[tuple[Sender, int]]:
        """Store what people said, each message once. Returns the senders it went to, and how many messages were new."""
        columns = map(list, zip(*map(_columns, heard), strict=True))
        rows = await self._db.fetch(SQL["hear"], *columns)
        return [(sender_of(row["sender"]), row["messages"]) for row in rows]


class LedgerConversations:
    """The port `ConversationBook` on PostgreSQL."""

    def __init__(self, session: Session) -> None:
        self._db = session
        self._identities = LedgerIdentities(session)

    async def list(
        self, most: int, *, sender: str | None = None, only_open: bool = False, person: str | None = None
    ) -> Sequence[ConversationView]:
        """Conversations, the one in which somebody wrote last first. person: a number's key or a user id."""
        key = person and (await self._identities.canonical([person]))[person].key
        rows = await self._db.fetch(SQL["list"], most, sender, only_open, key, None)
        return [_view(row) for row in rows]

    async def page(
        self, after: ConversationPlace | None, limit: int, *, sender: SenderId | None = None
    ) -> Page[ConversationView, ConversationPlace]:
        """Those after this place, in the same order; whoever has never written comes last."""
        at, number = after or (None, None)
        async with self._db.transaction() as connection:
            await plan_anew(connection)
            rows = await connection.fetch(SQL["page"], limit + 1, sender, at, number)
        last = rows[limit - 1] if len(rows) > limit else None
        return Page(
            [_view(row) for row in rows[:limit]],
            None if last is None else (last["last_inbound_at"], ConversationId(last["id"])),
        )

    async def transcript(self, conversation_id: ConversationId, most: int) -> Transcript:
        """A conversation with its last messages, at most so many in each direction. Raises NotFound."""
        survivor = await self._db.fetchval(SQL["survivor"], conversation_id)
        if survivor is None:
            raise NotFound(
                f"there is no conversation {conversation_id}",
                hint="`dispatch conversations list` shows those there are",
            )
        row = await self._db.fetchrow(SQL["list"], 1, None, False, None, survivor)
        assert row is not None
        inbound = await self._db.fetch(SQL["inbound"], survivor, most)
        outbound = await self._db.fetch(SQL["outbound"], survivor, most)
        spoken = [
            *(
                Spoken(r["at"], True, r["kind"], _said(r["kind"], r["content"]), r["wamid"], r["content"])
                for r in inbound
            ),
            *(Spoken(r["at"], False, r["kind"], r["text"], r["wamid"], {}) for r in outbound),
        ]
        spoken.sort(key=lambda one: one.at, reverse=True)
        answered_at = await self._db.fetchval(SQL["answered_at"], survivor)
        ids = await self._identities.of_person(PersonKey(row["person_key"]))
        return Transcript(_view(row, answered_at), spoken[:most], ids)


def _said(kind: str, content: Any) -> str:
    """One line for people of what somebody wrote: its words where it has some, else what it is."""
    part = content.get(kind)
    if not isinstance(part, dict):
        return f"[{kind}]"
    pressed = part.get("button_reply") or part.get("list_reply")
    words = [
        part.get("body"),
        part.get("text"),
        part.get("caption"),
        part.get("emoji"),
        part.get("name"),
        pressed.get("title") if isinstance(pressed, dict) else None,
    ]
    text = next((word for word in words if isinstance(word, str) and word), "")
    if kind == "text":
        return text
    return f"[{kind}] {text}".rstrip()


def _columns(heard: Heard) -> tuple[object, ...]:
    message, ends_at = heard.message, heard.window.ends_at
    return (
        heard.phone_number_id,
        heard.who.key,
        heard.who.person,
        heard.user_id,
        heard.name,
        heard.at,
        ends_at,
        heard.at if message is not None and message.came_by_entry_point else None,
        message and message.wamid,
        message and message.kind,
        message and message.context_wamid,
        message and message.content,
    )


def _view(row: asyncpg.Record, answered_at: datetime | None = None) -> ConversationView:
    return ConversationView(
        id=ConversationId(row["id"]),
        sender=row["sender"],
        person=row["person"],
        user_id=row["user_id"],
        name=row["name"],
        window=ServiceWindow(row["window_ends_at"]),
        last_inbound_at=row["last_inbound_at"],
        free_entry_at=row["free_entry_at"],
        answered_at=answered_at,
        started_at=row["started_at"],
        suppressed=row["suppressed"],
    )
