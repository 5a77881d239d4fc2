"""A far side that can be restarted under way: `python gateway.py LISTENER UPSTREAM_PORT DRAIN_S`.

It stands before the sandbox, as Meta's own front stands before what answers, and several of them share one listening
socket (a file descriptor that is passed in): while one takes new connections, the one before it drains.
On SIGTERM it takes no new connection, answers what comes on those it has, says `Connection: close` with each answer, and
ends when the last has gone, or after DRAIN_S. Its last line says how many connections it had to cut off by then.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
import socket
import sys

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Gateway:
    """Connections in, each with one of its own to the sandbox."""

    def __init__(self, upstream_port: int) -> None:
        self._port = upstream_port
        self._open: set[asyncio.StreamWriter] = set()
        self.is_draining = False
        self.is_empty = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, request by request."""
        self._open.add(writer)
        sandbox_reader, sandbox_writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            while request := await _message(reader):
                sandbox_writer.write(request)
                answer = await _message(sandbox_reader)
                is_last = self.is_draining
                if is_last:
                    answer = answer.replace(b"\r\n", b"\r\nConnection: close\r\n", 1)
                writer.write(answer)
                await writer.drain()
                if is_last:
                    break
        except ConnectionError:
            pass  # the client dropped an idle connection
        finally:
            writer.close()
            sandbox_writer.close()
            self._open.discard(writer)
            self.look()

    def look(self) -> None:
        """Whether the last connection has gone."""
        if self.is_draining and not self._open:
            self.is_empty.set()

    def cut_off(self) -> int:
        """Close what is still open. Returns how many there were."""
        for writer in self._open:
            writer.transport.abort()
        return len(self._open)


async def _message(reader: asyncio.StreamReader) -> bytes:
    """Head and body of a request or an answer; nothing at the end of the connection."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return b""
    length = _LENGTH.search(head)
    return head + (await reader.readexactly(int(length[1])) if length else b"")


async def run(listener: socket.socket, upstream_port: int, drain_s: float) -> None:
    """Serve until SIGTERM, then drain."""
    gateway, stop = Gateway(upstream_port), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    server = await asyncio.start_server(gateway.serve, sock=listener)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await stop.wait()
    server.close()  # our own copy of the listening socket: whoever waits there is the next one's
    gateway.is_draining = True
    gateway.look()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(gateway.is_empty.wait(), drain_s)
    sys.stdout.write(f"cut off {gateway.cut_off()}\n")


if __name__ == "__main__":
    asyncio.run(run(socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2]), float(sys.argv[3])))
