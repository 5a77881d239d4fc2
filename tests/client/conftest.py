"""The two clients against a house on a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from support.street import served
from support.world import World

from dispatcher.client import AsyncClient, Client
from dispatcher.domain.access import Scope
from dispatcher.domain.rate import Rate
from dispatcher.vault import new_key


@dataclass(frozen=True, slots=True)
class Made:
    """Either client, asked in the same words."""

    url: str
    key: str
    world: World
    is_async: bool
    tries: int = 5

    async def do(self, call: Any) -> Any:
        """Make a call."""
        if self.is_async:
            async with AsyncClient(self.url, self.key, tries=self.tries) as client:
                return await client.do(call)
        return await asyncio.to_thread(self._in_thread, lambda client: client.do(call))

    async def each(self, listed: Any) -> list[Any]:
        """Everything of a list."""
        if self.is_async:
            async with AsyncClient(self.url, self.key, tries=self.tries) as client:
                return [item async for item in client.each(listed)]
        return list(await asyncio.to_thread(self._in_thread, lambda client: list(client.each(listed))))

    def _in_thread(self, work: Callable[[Client], Any]) -> Any:
        with Client(self.url, self.key, tries=self.tries) as client:
            return work(client)


@pytest.fixture(params=["Client", "AsyncClient"])
async def made(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, world: World
) -> AsyncIterator[Made]:
    """A house with one sender, and a client with a key that opens everything."""
    monkeypatch.setenv("SEAL_KEY", new_key())
    monkeypatch.setattr("dispatcher.client.clients._how_long", lambda _: 0.02)
    await world.a_sender("harbour")
    _, key = await world.app.access.create("test", set(Scope), rate=Rate.parse("100000/s"))
    async with served(world.app) as url:
        yield Made(url, key, world, request.param == "AsyncClient")


class Wobbly:
    """A proxy that loses the first answers: what was asked is done, and nobody learns of it."""

    def __init__(self, url: str, *, lose: int) -> None:
        self._url = url
        self._lose = lose
        self.asked = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """One request (ASGI)."""
        assert scope["type"] == "http"
        self.asked += 1
        body = b""
        while (message := await receive()).get("more_body"):
            body += message["body"]
        body += message["body"]
        headers = [(name, value) for name, value in scope["headers"] if name != b"host"]
        async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
            answer = await client.request(
                scope["method"],
                f"{self._url}{scope['path']}",
                params=scope["query_string"].decode(),
                headers=headers,
                content=body,
            )
        if self.asked <= self._lose:
            # The connection ends within the answer.
            await send(
                {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"99")]}
            )
            raise ConnectionResetError
        await send(
            {
                "type": "http.response.start",
                "status": answer.status_code,
                "headers": [(b"content-type", b"application/json")],
            }
        )
        await send({"type": "http.response.body", "body": answer.content})
