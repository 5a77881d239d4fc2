"""Words for tests of the API: a whole house, seen from its front door."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import orjson
from support.builders import a_phone
from support.world import World

from dispatcher.domain.access import Scope
from dispatcher.domain.audit import AuditEntry

MAPPING = {"body.1": {"column": "first_name"}, "body.2": {"text": "20%"}}
_keys = itertools.count(1)


def people(number: int, first: int = 0) -> list[dict[str, str]]:
    """People as a page has them."""
    return [{"phone": a_phone(n), "first_name": f"Name {n}"} for n in range(first, first + number)]


def ndjson(rows: Iterable[Mapping[str, Any]]) -> bytes:
    """The same as a stream has them."""
    return b"".join(orjson.dumps(row) + b"\n" for row in rows)


def csv(rows: Iterable[Mapping[str, str]]) -> bytes:
    """And as CSV."""
    return "".join(
        ["phone,first_name\n", *(f"{row['phone']},{row['first_name']}\n" for row in rows)]
    ).encode()


@dataclass(slots=True)
class FrontDoor:
    """The API of a world, with a key that opens everything."""

    client: httpx.AsyncClient
    url: str
    world: World
    key: str

    async def call(
        self,
        method: str,
        path: str,
        *,
        key: str | None = "",
        once: str | None = None,
        headers: Mapping[str, str] | None = None,
        **how: Any,
    ) -> httpx.Response:
        """One call. key: another key; None: none. once: the Idempotency-Key, a new one where the call needs one."""
        sent = dict(headers or {})
        if key is not None:
            sent["Authorization"] = f"Bearer {key or self.key}"
        sent["Idempotency-Key"] = once or f"call-{next(_keys)}"
        return await self.client.request(method, f"/v1{path}", headers=sent, **how)

    async def get(self, path: str, **how: Any) -> Any:
        """What is there."""
        answer = await self.call("GET", path, **how)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def post(self, path: str, body: Any = None, status: int = 200, **how: Any) -> Any:
        """What comes of it."""
        answer = await self.call("POST", path, json=body, **how)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def a_key(self, *scopes: Scope, **how: Any) -> str:
        """A key that opens this."""
        _, written = await self.world.app.access.create("test", set(scopes), **how)
        return written

    async def a_draft(self, **fields: Any) -> int:
        """A campaign without people."""
        order = {
            "name": "autumn",
            "template": "autumn",
            "language": "en_US",
            "senders": ["harbour"],
            "mapping": MAPPING,
        } | fields
        return int((await self.post("/campaigns", order, 201))["id"])

    async def stream(
        self, campaign: int, content: Any, media_type: str = "application/x-ndjson", **how: Any
    ) -> httpx.Response:
        """People by a stream."""
        return await self.call(
            "POST",
            f"/campaigns/{campaign}/people/stream",
            content=content,
            headers={"Content-Type": media_type},
            **how,
        )

    async def rows(self, campaign: int) -> list[tuple[Any, ...]]:
        """The people of a campaign as the ledger has them."""
        sql = "SELECT line, person, person_key, params, state FROM messages WHERE campaign_id = $1 ORDER BY line, id"
        return [tuple(row) for row in await self.world.app.database.fetch(sql, campaign)]

    async def log(self) -> list[AuditEntry]:
        """The audit log, newest first."""
        return list(await self.world.app.access.audit(None, 1_000))
