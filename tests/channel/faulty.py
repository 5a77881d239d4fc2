"""A server that fails in exactly one named way, and counts what reached it.

It speaks HTTP/1.1 by hand, at socket level, because the faults are below what an HTTP library would let us do.
"""

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Self

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass(slots=True)
class Connection:
    """One accepted connection, as a fault sees it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    record: "Record"
    body_bytes: int = 0

    async def read_head(self) -> None:
        """Read up to the empty line; raises IncompleteReadError when the client has gone."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        self.record.heads.append(head)
        fields = dict(line.lower().split(": ", 1) for line in head.splitlines()[1:] if line)
        self.body_bytes = int(fields["content-length"])

    async def read_request(self) -> bytes:
        """Read head and body, and count the request as handed over; returns the body."""
        await self.read_head()
        body = await self.reader.readexactly(self.body_bytes)
        self.record.requests_read += 1
        self.record.was_read.set()
        return body

    async def say(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    def reset(self) -> None:
        """Close with RST instead of FIN."""
        self.writer.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
        self.writer.transport.abort()

    async def stay_silent(self) -> None:
        """Keep the connection open until the client gives up."""
        await self.reader.read()


@dataclass(slots=True)
class Record:
    """What reached the server."""

    connections: int = 0
    requests_read: int = 0
    """Requests read to the last byte of the body: the ones a real server would have acted on."""
    heads: list[str] = field(default_factory=list)
    was_read: asyncio.Event = field(default_factory=asyncio.Event)
    was_closed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the server has closed a connection."""


Fault = Callable[[Connection], Awaitable[None]]


async def answers(connection: Connection) -> None:
    """No fault: answers each request and keeps the connection."""
    while True:
        await connection.read_request()
        await connection.say(OK)


async def echoes(connection: Connection) -> None:
    """No fault: answers each request with its own body."""
    while True:
        body = await connection.read_request()
        await connection.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


async def resets_at_once(connection: Connection) -> None:
    connection.reset()


async def resets_within_the_body(connection: Connection) -> None:
    await connection.read_head()
    await connection.reader.readexactly(1)
    connection.reset()


async def resets_after_the_body(connection: Connection) -> None:
    await connection.read_request()
    connection.reset()


async def closes_at_once(connection: Connection) -> None:
    pass


async def closes_after_the_body(connection: Connection) -> None:
    await connection.read_request()


async def half_a_head(connection: Connection) -> None:
    await connection.read_request()
    await connection.say(b"HTTP/1.1 200 OK\r\nContent-Le")


async def half_a_body(connection: Connection) -> None:
    await connection.read_request()
    await connection.say(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")


async def half_a_body_then_reset(connection: Connection) -> None:
    await half_a_body(connection)
    connection.reset()


async def half_a_chunk(connection: Connection) -> None:
    await connection.read_request()
    await connection.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nhalf")


async def half_a_body_then_silence(connection: Connection) -> None:
    await half_a_body(connection)
    await connection.stay_silent()


async def garbage(connection: Connection) -> None:
    await connection.read_request()
    await connection.say(b"\x00\xff\xfe no HTTP at all\r\n\r\n")


async def silence(connection: Connection) -> None:
    await connection.read_request()
    await connection.stay_silent()


async def deaf_silence(connection: Connection) -> None:
    """Accepts and never reads: the request sits in the kernel's buffers."""
    await asyncio.Event().wait()


async def a_tls_alert(connection: Connection) -> None:
    await connection.reader.read(1)
    await connection.say(
        b"\x15\x03\x03\x00\x02\x02\x28"
    )  # alert, TLS 1.2, two bytes: fatal, handshake_failure


async def plain_text(connection: Connection) -> None:
    await connection.reader.read(1)
    await connection.say(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")


def after_one_answer(fault: Fault) -> Fault:
    """The first request on each connection is answered, so that the second meets the fault on a pooled one."""

    async def answers_once(connection: Connection) -> None:
        await connection.read_request()
        await connection.say(OK)
        await fault(connection)

    return answers_once


def says(answer: bytes) -> Fault:
    """Answers every request with these bytes."""

    async def answers_so(connection: Connection) -> None:
        while True:
            await connection.read_request()
            await connection.say(answer)

    return answers_so


class FaultyServer:
    """Listens on a free port of 127.0.0.1 and treats every connection as ``fault`` says."""

    def __init__(self, fault: Fault, tls: ssl.SSLContext | None = None) -> None:
        self.record = Record()
        self._fault = fault
        self._tls = tls
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self._tls)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.record.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._fault(Connection(reader, writer, self.record))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client has gone
        except asyncio.CancelledError:
            pass  # why: asyncio's stream server would report a cancelled handler as an error
        finally:
            self._tasks.discard(task)
            writer.close()
            self.record.was_closed.set()


def a_closed_port() -> socket.socket:
    """A port of 127.0.0.1 that is taken, so that nobody else gets it, but refuses connections. Close it afterwards."""
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    return taken


@asynccontextmanager
async def a_full_backlog() -> AsyncIterator[int | None]:
    """The port of a socket whose queue is full, so that connecting takes for ever; None where the kernel takes more."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        waiting = []
        port: int = listening.getsockname()[1]
        try:
            for _ in range(8):
                filler = socket.socket()
                filler.setblocking(False)
                waiting.append(filler)
                try:
                    async with asyncio.timeout(0.05):
                        await asyncio.get_running_loop().sock_connect(filler, ("127.0.0.1", port))
                except TimeoutError:
                    yield port
                    return
            yield None
        finally:
            for filler in waiting:
                filler.close()
