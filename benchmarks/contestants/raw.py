"""What the sink can take: whole requests from memory, many at once on few connections, answers only counted.

No HTTP library and no contestant: it shows that the sink is not what limits the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import islice
from typing import cast
from urllib.parse import urlsplit

import uvloop

from benchmarks.contestants.read import HEADERS, path_of, posts, url, wait_for_end, wait_for_go

CONNECTIONS = 16
AT_ONCE = 64
"""Requests under way on each connection."""
_ANSWER = b"HTTP/1.1 200"


class _Connection(asyncio.Protocol):
    def __init__(self, left: Iterator[bytes]) -> None:
        self._left = left
        self._tail = b""
        self._open = 0
        self.over = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def send(self, count: int) -> None:
        requests = list(islice(self._left, count))
        self._open += len(requests)
        if requests:
            self._transport.write(b"".join(requests))
        elif not self._open and not self.over.done():
            self.over.set_result(None)

    def data_received(self, data: bytes) -> None:
        # why a tail: the beginning of an answer may be cut in two; too short to hold one that was counted.
        data = self._tail + data
        answers = data.count(_ANSWER)
        self._tail = data[1 - len(_ANSWER) :]
        self._open -= answers
        self.send(answers)


async def main() -> None:
    """One run."""
    head = "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items())
    requests = [
        f"POST {path_of(number)} HTTP/1.1\r\nhost: localhost\r\n{head}content-length: {len(body)}\r\n\r\n".encode()
        + body
        for number, body in posts()
    ]
    address, loop = urlsplit(url()), asyncio.get_running_loop()
    left = iter(requests)
    connections = [
        (await loop.create_connection(lambda: _Connection(left), str(address.hostname), address.port or 80))[
            1
        ]
        for _ in range(CONNECTIONS)
    ]
    await wait_for_go()
    for connection in connections:
        connection.send(AT_ONCE)
    await asyncio.gather(*(connection.over for connection in connections))
    await wait_for_end()


if __name__ == "__main__":
    uvloop.run(main())
