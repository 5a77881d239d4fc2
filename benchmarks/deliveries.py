"""A sender of webhooks that costs next to nothing: signed requests over kept connections, repeated until answered with 200.

Plain asyncio protocols, no HTTP library: what is measured is the receiver. Two ways to send. *Closed*: each connection
sends its next request as soon as the last was answered, so the receiver sets the pace. *Open*: requests are due at a given
rate whatever the receiver does, and an answer's time counts from when its request was due, not from when it was written.
"""

from __future__ import annotations

import asyncio
import hmac
from array import array
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import urlsplit

_OK = b"HTTP/1.1 200 "
_AGAIN_AFTER_S = 0.25
_TICK_S = 0.002


def signed_request(body: bytes, secret: bytes, path: str) -> bytes:
    """A whole request, as Meta makes it."""
    signature = hmac.digest(secret, body, "sha256").hex().encode()
    return (
        b"POST %b HTTP/1.1\r\nhost: localhost\r\nuser-agent: facebookexternalua\r\naccept: */*\r\n"
        b"content-type: application/json\r\nx-hub-signature-256: sha256=%b\r\ncontent-length: %d\r\n\r\n%b"
    ) % (path.encode(), signature, len(body), body)


@dataclass(slots=True)
class Report:
    """What came of it."""

    seconds: float
    """From the first request to the last 200."""
    answers: Counter[str] = field(default_factory=Counter)
    """By status; "none": the connection was lost."""
    times_s: array[float] = field(default_factory=lambda: array("d"))
    """Of each answer, whatever its status."""

    def percentile_ms(self, share: float) -> float:
        """Of the answers' times."""
        ordered = sorted(self.times_s)
        return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1_000, 1)


class Deliveries:
    """One run."""

    def __init__(self, url: str, requests: Sequence[bytes], *, connections: int, rate_per_s: float) -> None:
        """rate_per_s: 0 sends as fast as answers come. connections: at most so many at once."""
        address = urlsplit(url)
        self._host, self._port = address.hostname or "localhost", address.port or 80
        self._requests = requests
        self._connections = connections
        self._rate_per_s = rate_per_s
        self._loop = asyncio.get_running_loop()
        self._begun_s = self._loop.time()
        self._new: Iterator[int] = iter(range(len(requests)))
        self._again: deque[int] = deque()
        self._due_s = array("d", bytes(8 * len(requests)))
        self._idle: list[_Connection] = []
        self._left = len(requests)
        self._over = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self.report = Report(0.0)

    async def run(self) -> Report:
        """Return when every request was answered with 200."""
        self._begun_s = self._loop.time()
        for _ in range(self._connections):
            await self._connect()
        sending = asyncio.create_task(self._send_on_time()) if self._rate_per_s else None
        await self._over.wait()
        if sending is not None:
            await sending
        self.report.seconds = self._loop.time() - self._begun_s
        for connection in self._idle:
            connection.close()
        return self.report

    async def _connect(self) -> None:
        while True:
            try:
                _, connection = await self._loop.create_connection(
                    lambda: _Connection(self), self._host, self._port
                )
            except OSError:
                await asyncio.sleep(_AGAIN_AFTER_S)
            else:
                self.free(connection)
                return

    async def _send_on_time(self) -> None:
        begun_s, gap_s = self._loop.time(), 1 / self._rate_per_s
        waiting: deque[int] = deque()
        upcoming = next(self._new, None)
        while upcoming is not None or waiting or not self._over.is_set():
            now_s = self._loop.time()
            while upcoming is not None and begun_s + upcoming * gap_s <= now_s:
                self._due_s[upcoming] = begun_s + upcoming * gap_s
                waiting.append(upcoming)
                upcoming = next(self._new, None)
            while self._idle and (waiting or self._again):
                number = self._again.popleft() if self._again else waiting.popleft()
                self._idle.pop().send(number, self._requests[number], self._due_s[number])
            await asyncio.sleep(_TICK_S)

    def free(self, connection: _Connection) -> None:
        """It has nothing to do."""
        if not self._rate_per_s:
            number = self._again.popleft() if self._again else next(self._new, None)
            if number is not None:
                connection.send(number, self._requests[number], self._loop.time())
                return
        self._idle.append(connection)

    def answered(self, number: int, status: str, due_s: float) -> None:
        """A request has its answer; it comes again unless that was 200."""
        now_s = self._loop.time()
        self.report.answers[status] += 1
        self.report.times_s.append(now_s - due_s)
        if status == "200":
            self._left -= 1
            if self._left == 0:
                self._over.set()
        else:
            self._due_s[number] = now_s + _AGAIN_AFTER_S
            self._loop.call_later(_AGAIN_AFTER_S, self._repeat, number)

    def _repeat(self, number: int) -> None:
        self._again.append(number)
        if not self._rate_per_s and self._idle:
            self.free(self._idle.pop())

    def lost(self, connection: _Connection) -> None:
        """The connection ended; another takes its place."""
        if connection in self._idle:
            self._idle.remove(connection)
        if self._left:
            self._tasks.add(task := self._loop.create_task(self._connect()))
            task.add_done_callback(self._tasks.discard)


class _Connection(asyncio.Protocol):
    """One request at a time."""

    def __init__(self, deliveries: Deliveries) -> None:
        self._deliveries = deliveries
        self._number: int | None = None
        self._due_s = 0.0
        self._answer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def send(self, number: int, request: bytes, due_s: float) -> None:
        self._number, self._due_s = number, due_s
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._answer += data
        head, end, body = self._answer.partition(b"\r\n\r\n")
        if not end or len(body) < _length(head):
            return
        number, self._number, self._answer = self._number, None, b""
        assert number is not None
        self._deliveries.answered(number, head[9:12].decode(), self._due_s)
        self._deliveries.free(self)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._number is not None:
            self._deliveries.answered(self._number, "none", self._due_s)
        self._deliveries.lost(self)

    def close(self) -> None:
        self._transport.close()


def _length(head: bytes) -> int:
    if head.startswith(_OK):
        return 0
    return int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
