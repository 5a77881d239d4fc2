"""People who write to one sender, as Meta would tell of them, without a sandbox: bodies, and where they are put."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from dispatcher.app import App
from dispatcher.domain.conversation import ConversationView
from dispatcher.domain.sender import Sender
from support.webhooks import a_body

NUMBER = "200000000000001"
DANA, DANAS_ID = "12025550143", "US.1"
_wamids = itertools.count(1)


class Postbox:
    """A sender to whom people write, and what came of it."""

    def __init__(self, app: App, sender: Sender) -> None:
        self.app = app
        self.sender = sender
        self.now = datetime.now(UTC).replace(microsecond=0)

    def at(self, ago: timedelta) -> datetime:
        """So long from now: negative for what was before."""
        return self.now + ago

    async def says(self, *bodies: bytes) -> None:
        """Take these in, all at once."""
        await self.app.inbox.add(bodies, within=timedelta(seconds=5), urgent=[True] * len(bodies))
        while await self.app.intake.drain():
            pass
        assert (await self.app.inbox.waiting()).bodies == 0

    async def forgets(self) -> None:
        """As if nothing had ever been said."""
        await self.app.database.execute(
            "TRUNCATE inbound, conversations, replies, reply_positions, identities, suppressions, suppression_history,"
            " account_news, quarantine"
        )

    async def conversations(self) -> Sequence[ConversationView]:
        """All there are."""
        return await self.app.conversations.list(100)

    async def suppressed(self) -> list[str]:
        """Who is on the list."""
        return [one.person for one in await self.app.senders.suppressed()]


def said(
    text: str,
    *,
    at: datetime,
    person: str | None = DANA,
    user_id: str | None = None,
    name: str | None = "Dana",
    number: str = NUMBER,
    kind: str = "text",
    message: dict[str, Any] | None = None,
    **members: Any,
) -> bytes:
    """A person wrote this. message: type and content of another kind; members: beside them."""
    content = message or {"type": kind, kind: {"body": text}}
    ids = {"from": person, "from_user_id": user_id}
    contact = {"profile": {"name": name}, "wa_id": person, "user_id": user_id}
    fragment = {
        **{key: value for key, value in ids.items() if value},
        "id": f"wamid.IN{next(_wamids)}",
        "timestamp": _seconds(at),
        **content,
        **members,
    }
    contacts = [{key: value for key, value in contact.items() if value}] if name else []
    return a_body(_value(number, contacts=contacts, messages=[fragment]))


def a_preference(value: str, *, at: datetime, person: str = DANA) -> bytes:
    """A person told Meta what they want: stop, resume or signup."""
    told = {"wa_id": person, "category": "marketing_messages", "value": value, "timestamp": int(_seconds(at))}
    return a_body(_value(NUMBER, user_preferences=[told]), "user_preferences")


def an_id_change(person: str, previous: str, current: str, *, at: datetime) -> bytes:
    """A person has another user id."""
    ids = {"previous": previous, "current": current}
    told = {"wa_id": person, "detail": "User id updated", "user_id": ids, "timestamp": _seconds(at)}
    return a_body(_value(NUMBER, user_id_update=[told]), "user_id_update")


def a_call(at: datetime, person: str = DANA) -> bytes:
    """A person called."""
    call = {"id": f"wacid.{_seconds(at)}", "from": person, "event": "connect", "direction": "USER_INITIATED"}
    return a_body(_value(NUMBER, calls=[{**call, "timestamp": _seconds(at)}]), "calls")


def _value(number: str, **lists: Any) -> dict[str, Any]:
    return {"messaging_product": "whatsapp", "metadata": {"phone_number_id": number}, **lists}


def _seconds(at: datetime) -> str:
    return str(int(at.timestamp()))


def in_some_orders(*bodies: bytes, orders: int = 5) -> Iterator[list[bytes]]:
    """As they were said, and shuffled; each body twice."""
    yield [*bodies, *bodies]
    for seed in range(1, orders):
        shuffled = [*bodies, *bodies]
        random.Random(seed).shuffle(shuffled)
        yield shuffled


async def the_one(postbox: Postbox) -> ConversationView:
    """The only conversation there is."""
    [conversation] = await postbox.conversations()
    return conversation
