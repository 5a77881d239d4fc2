"""A receiver of events on a real socket: checks each signature, writes down what it gets, and misbehaves as it is told.

It imports nothing of the house: like the sandbox, it is the other side.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import random
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Weather:
    """How it treats requests."""

    statuses: Sequence[int] = (200,)
    """One of them at random for each request."""
    delay_s: float = 0.0
    """Before it answers."""
    breaks: float = 0.0
    """The part of the requests that it reads, and keeps, and then breaks the connection."""
    headers: str = ""
    """More lines of its answers, each with its end."""


@dataclass(frozen=True, slots=True)
class Got:
    """One request as it arrived."""

    at_s: float
    """By the monotonic clock."""
    headers: dict[str, str]
    body: bytes
    status: int
    """What it was answered; 0: the connection was broken."""

    @property
    def events(self) -> list[dict[str, Any]]:
        """What it tells."""
        return list(json.loads(self.body)["events"])


@dataclass
class Receiver:
    """Listens on loopback. `secrets` without one: nothing is checked."""

    secrets: list[str] = field(default_factory=list)
    weather: Weather = field(default_factory=Weather)
    refuses: Callable[[dict[str, Any]], bool] | None = None
    """Events that it cannot take: a request with one of them is answered 500."""
    got: list[Got] = field(default_factory=list)
    dice: random.Random = field(default_factory=lambda: random.Random(1))
    port: int = 0
    connections: int = 0
    """How many were opened."""
    _server: asyncio.Server | None = None
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}/events"

    @property
    def events(self) -> list[dict[str, Any]]:
        """Everything that came, in the order in which it came, repetitions too."""
        return [event for each in self.got for event in each.events]

    @property
    def first_times(self) -> list[dict[str, Any]]:
        """The same without repetitions, which are known by their ids. Raises where one differs from the first."""
        known: dict[str, dict[str, Any]] = {}
        for event in self.events:
            if known.setdefault(event["id"], event) != event:
                raise AssertionError(f"{event['id']} came twice, and not the same")
        return list(known.values())

    async def come_up(self) -> None:
        """Listen, on the same port as before."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def go_down(self) -> None:
        """Break all connections, and take no more."""
        if self._server is not None:
            self._server.close()
            for writer in self._writers:
                writer.transport.abort()
            self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        self.connections += 1
        try:
            while await self._serve_one(reader, writer):
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # whoever delivers may go away at any time
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        _, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        weather = self.weather
        status = self.dice.choice(weather.statuses)
        if self.secrets and not any(is_signed(headers, body, secret) for secret in self.secrets):
            status = 401
        if self.refuses is not None and any(map(self.refuses, json.loads(body)["events"])):
            status = 500
        if self.dice.random() < weather.breaks:
            self.got.append(Got(time.monotonic(), headers, body, 0))
            writer.transport.abort()
            return False
        if weather.delay_s:
            await asyncio.sleep(weather.delay_s)
        self.got.append(Got(time.monotonic(), headers, body, status))
        writer.write(f"HTTP/1.1 {status} \r\n{weather.headers}content-length: 2\r\n\r\nok".encode())
        return True


def is_signed(headers: dict[str, str], body: bytes, secret: str) -> bool:
    """Whether one of a request's signatures was made with this secret, after Standard Webhooks."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    right = "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
    given = headers["webhook-signature"].split(" ")
    return any(hmac.compare_digest(right.encode(), each.encode()) for each in given)


@asynccontextmanager
async def receiving(**how: Any) -> AsyncIterator[Receiver]:
    """A receiver that listens for as long as the block runs."""
    receiver = Receiver(**how)
    await receiver.come_up()
    try:
        yield receiver
    finally:
        with suppress(OSError):
            await receiver.go_down()


def out_of_order(
    events: Sequence[dict[str, Any]], subject: Callable[[dict[str, Any]], object]
) -> Sequence[str]:
    """Events that came after a later one of the same subject; ids tell the order, by their last part."""
    last: dict[object, int] = {}
    wrong = []
    for event in events:
        number = int(event["id"].rpartition("_")[2])
        if number < last.get(subject(event), 0):
            wrong.append(event["id"])
        last[subject(event)] = max(number, last.get(subject(event), 0))
    return wrong
