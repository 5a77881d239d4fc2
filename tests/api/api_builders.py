"""Words for tests of the HTTP side."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

from dispatcher.app import App
from dispatcher.ledger.inbox import LedgerInbox

APP_SECRET = ("the first app's secret", "das zweite Geheimnis: äöü")
VERIFY_TOKEN = "tell nobody"
PATH = "/webhooks/whatsapp"


def signed(body: bytes, secret: str = APP_SECRET[0]) -> dict[str, str]:
    """The headers with which Meta delivers a body."""
    signature = hmac.digest(secret.encode(), body, "sha256").hex()
    return {"content-type": "application/json", "x-hub-signature-256": f"sha256={signature}"}


@dataclass(frozen=True, slots=True)
class Street:
    """A served house."""

    client: httpx.AsyncClient
    url: str
    inbox: LedgerInbox
    app: App

    async def post(self, body: bytes, headers: dict[str, str] | None = None) -> httpx.Response:
        """Deliver a body, rightly signed unless other headers are given."""
        return await self.client.post(
            PATH, content=body, headers=signed(body) if headers is None else headers
        )

    async def stored(self) -> list[bytes]:
        """What is in the inbox, oldest first."""
        rows = await self.app.database.fetch("SELECT body FROM inbox ORDER BY id")
        return [row["body"] for row in rows]

    async def say(self, request: bytes) -> bytes:
        """Write these bytes and nothing else; returns the answer when the server has closed the connection."""
        parts = urlsplit(self.url)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        writer.write(request)
        answer = await reader.read()
        writer.close()
        return answer

    @asynccontextmanager
    async def ledger_hangs(self) -> AsyncIterator[None]:
        """Nothing can be written to the inbox inside the block."""
        async with self.app.database.transaction() as connection:
            await connection.execute("LOCK TABLE inbox IN ACCESS EXCLUSIVE MODE")
            yield


def head(**headers: object) -> bytes:
    """A POST up to its body."""
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"POST {PATH} HTTP/1.1\r\nhost: test\r\n{lines}\r\n".encode()
