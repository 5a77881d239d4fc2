"""What is done to a connection: answered honestly, or broken in one of the ways networks break.

Plain ASGI, since nothing here may cost a sender time. A break needs the transport, which the server hands down in
the scope's extensions; in one process there is none, and a break is a ConnectionResetError there.
"""

import asyncio
import socket
import struct

from starlette.types import Receive, Scope, Send

from .behaviour import Fault

TRANSPORT = "sandbox.transport"
"""The ASGI extension with the connection's transport, under the key `transport`."""

ACCEPTING_FAULTS = frozenset(
    {
        Fault.CLOSED_ACCEPTED,
        Fault.RESET_ACCEPTED,
        Fault.SILENT_ACCEPTED,
        Fault.HALF_ANSWER_ACCEPTED,
        Fault.GARBAGE_ACCEPTED,
        Fault.PAGE_ACCEPTED,
        Fault.BARE_5XX_ACCEPTED,
    }
)
"""Faults that come after the message is in the record."""

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""SO_LINGER with a time of 0: what is closed so says RST, not FIN."""

_GARBAGE = b"\x16\x03\x01\x00\xc4 no answer of this protocol \xff\xfe\r\n\r\n"
_PAGE = b"<!DOCTYPE html><html><head><title>One moment</title></head><body>Please try again.</body></html>"


async def read_body(receive: Receive) -> bytes | None:
    """The whole body, or None when the client went away before its end."""
    event = await receive()
    body: bytes = event.get("body", b"")
    while event.get("more_body"):
        event = await receive()
        body += event.get("body", b"")
    return None if event["type"] == "http.disconnect" else body


async def answer(send: Send, status: int, body: bytes, media_type: bytes = b"application/json") -> None:
    """Answer honestly."""
    headers = [(b"content-length", b"%d" % len(body))]
    if body:
        headers.append((b"content-type", media_type))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def break_unread(scope: Scope, receive: Receive) -> None:
    """Break the connection before the body is read."""
    _transport(scope).abort()
    await _until_disconnected(receive)


async def reset_in_body(scope: Scope, receive: Receive) -> None:
    """Take some of the body, then reset."""
    await receive()
    _reset(_transport(scope))
    await _until_disconnected(receive)


async def lose(fault: Fault, scope: Scope, receive: Receive, send: Send, status: int, body: bytes) -> None:
    """Have this answer, to a message that is in the record, not arrive as it should."""
    match fault:
        case Fault.BARE_5XX_ACCEPTED:
            await answer(send, 502, b"")
            return
        case Fault.PAGE_ACCEPTED:
            await answer(send, 200, _PAGE, b"text/html")
            return
        case Fault.CLOSED_ACCEPTED:
            _transport(scope).abort()
        case Fault.RESET_ACCEPTED:
            _reset(_transport(scope))
        case Fault.HALF_ANSWER_ACCEPTED:
            head = b"HTTP/1.1 %d OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
            _write_and_close(_transport(scope), head % (status, len(body)) + body[: len(body) // 2])
        case Fault.GARBAGE_ACCEPTED:
            _write_and_close(_transport(scope), _GARBAGE)
    await _until_disconnected(receive)


def _transport(scope: Scope) -> asyncio.Transport:
    """The connection's transport. Raises ConnectionResetError where there is none."""
    extension = (scope.get("extensions") or {}).get(TRANSPORT)
    if extension is None:
        raise ConnectionResetError("the sandbox broke the connection")
    transport: asyncio.Transport = extension["transport"]
    return transport


def _reset(transport: asyncio.Transport) -> None:
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    transport.abort()


def _write_and_close(transport: asyncio.Transport, text: bytes) -> None:
    transport.write(text)
    transport.close()


async def _until_disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
