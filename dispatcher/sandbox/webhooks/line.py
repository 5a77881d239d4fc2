"""One connection to a receiver of webhooks: send a request, get status and body, again and again.

An HTTP client of forty lines, because delivering is most of what the sandbox does in a rehearsal and the clients in
the house take more time for a request than the sandbox takes for a message. It keeps one connection open, does one
request at a time and follows nothing: whoever needs more has more lines, and repeats what went wrong.
"""

import asyncio
import ssl
from typing import cast

import httptools

from .callback import Callback

_BODY_BYTES_KEPT = 65_536


class Line:
    """A connection that is opened when first needed, and again after it broke."""

    def __init__(self, callback: Callback) -> None:
        """callback: where it leads, for good."""
        self.callback = callback
        self._conversation: _Conversation | None = None

    async def send(self, request: bytes, timeout_s: float) -> tuple[int, bytes]:
        """Status and body of the answer. Raises OSError (also TimeoutError) when there is none."""
        try:
            async with asyncio.timeout(timeout_s):
                if self._conversation is None or self._conversation.is_over:
                    self._conversation = await self._open()
                return await self._conversation.say(request)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Drop the connection."""
        if self._conversation is not None:
            self._conversation.end()
            self._conversation = None

    async def _open(self) -> "_Conversation":
        _, conversation = await asyncio.get_running_loop().create_connection(
            _Conversation,
            self.callback.host,
            self.callback.port,
            ssl=ssl.create_default_context() if self.callback.is_tls else None,
        )
        return conversation


class _Conversation(asyncio.Protocol):
    """One opened connection."""

    def __init__(self) -> None:
        self.is_over = False
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # why: not an assertion of its type: uvloop's transports are no subclasses of asyncio's.
        self._transport = cast("asyncio.Transport", transport)

    def say(self, request: bytes) -> "asyncio.Future[tuple[int, bytes]]":
        """The answer to come."""
        self._parser = httptools.HttpResponseParser(self)
        self._has_head, self._body = False, b""
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._answer

    def end(self) -> None:
        self.is_over = True
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._answer is None:
            self.end()  # why: said without being asked; what would it be an answer to?
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._fail(ConnectionError("the receiver does not speak HTTP"))
            self.end()

    def on_headers_complete(self) -> None:
        self._has_head = True

    def on_body(self, body: bytes) -> None:
        self._body += body[: _BODY_BYTES_KEPT - len(self._body)]

    def on_message_complete(self) -> None:
        if not self._parser.should_keep_alive():
            self.end()
        self._complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_over = True
        if self._answer is not None and self._has_head and exc is None:
            self._complete()  # why: an answer without a length ends with its connection.
        else:
            self._fail(exc or ConnectionResetError("the receiver closed the connection"))

    def _complete(self) -> None:
        answer, self._answer = self._answer, None
        if answer is not None and not answer.done():
            answer.set_result((self._parser.get_status_code(), self._body))

    def _fail(self, reason: Exception) -> None:
        answer, self._answer = self._answer, None
        if answer is not None and not answer.done():
            answer.set_exception(reason if isinstance(reason, OSError) else ConnectionError(str(reason)))
