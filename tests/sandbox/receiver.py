"""A receiver of webhooks on a real socket: writes down what it gets and answers as it is told."""

import asyncio
import hashlib
import hmac
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, repeat

from .builders import Json

SECRET = "the app's secret"
SILENCE = -1
CLOSED = -2


@dataclass
class Got:
    """One POST as it arrived."""

    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def is_signed(self) -> bool:
        expected = hmac.new(SECRET.encode(), self.body, hashlib.sha256).hexdigest()
        return self.headers.get("x-hub-signature-256") == f"sha256={expected}"

    @property
    def changes(self) -> list[Json]:
        return [change for entry in json.loads(self.body)["entry"] for change in entry["changes"]]

    @property
    def statuses(self) -> list[Json]:
        return [status for change in self.changes for status in change["value"].get("statuses", [])]


@dataclass
class Receiver:
    """Answers with 200 unless told otherwise."""

    got: list[Got] = field(default_factory=list)
    url: str = ""
    answers: Iterator[int] = field(default_factory=lambda: repeat(200))
    body: bytes = b"EVENT_RECEIVED"
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    _writers: list[asyncio.StreamWriter] = field(default_factory=list)

    @property
    def connections(self) -> int:
        """How many were opened."""
        return len(self._writers)

    def answers_with(self, *statuses: int, then: int = 200) -> None:
        self.answers = chain(statuses, repeat(then))

    @property
    def statuses(self) -> list[Json]:
        return [status for each in self.got for status in each.statuses]

    def times(self, name: str) -> int:
        """How many receipts of this status came."""
        return Counter(status["status"] for status in self.statuses)[name]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        try:
            while await self._serve_one(reader, writer):
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the sandbox may go away at any time
        finally:
            writer.close()

    def close(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        self.got.append(Got(first.split(" ")[1], headers, body))
        self.arrived.set()
        status = next(self.answers)
        if status == SILENCE:
            await reader.read()  # until the sandbox goes away
        if status < 0:
            return False
        writer.write(b"HTTP/1.1 %d \r\ncontent-length: %d\r\n\r\n%b" % (status, len(self.body), self.body))
        return True


def shares(statuses: Iterable[Json]) -> dict[str, int]:
    """Receipts by their status."""
    return dict(Counter(status["status"] for status in statuses))
