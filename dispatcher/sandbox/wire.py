"""HTTP for the sandbox: uvicorn's protocol with a short cut for posted messages.

A post that is to be answered honestly and at once needs no task, no ASGI events and no router: it is judged
and answered as soon as its last byte is parsed, which makes the sandbox about twice as fast, and a judge
should not be what a sender waits for. Every other request, and every post while latency or faults are set,
goes through the ASGI application, which can also break its connection here.

It leans on a few attributes of uvicorn's `HttpToolsProtocol`; tests post over a socket to hold that.
"""

import re
from http import HTTPStatus

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from .app import Sandbox
from .connection import TRANSPORT

_MESSAGES = re.compile(rb"/v\d+\.\d+/(\d+)/messages")
_HEADS = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: application/json\r\n".encode()
    for status in HTTPStatus
}


def protocol_of(sandbox: Sandbox) -> type[HttpToolsProtocol]:
    """The protocol class that serves this sandbox."""

    class Protocol(HttpToolsProtocol):
        _number_id: str | None = None
        """Set while a request takes the short cut."""
        _body = b""

        def on_message_begin(self) -> None:
            super().on_message_begin()
            self.scope["extensions"] = {TRANSPORT: {"transport": self.transport}}

        def on_headers_complete(self) -> None:
            self._number_id = self._short_cut()
            if self._number_id is None:
                super().on_headers_complete()

        def on_body(self, body: bytes) -> None:
            if self._number_id is None:
                super().on_body(body)
            else:
                self._body += body

        def on_message_complete(self) -> None:
            if self._number_id is None:
                super().on_message_complete()
                return
            status, answer = sandbox.graph.answer_at_once(self._number_id, self.headers, self._body)
            self._number_id, self._body = None, b""
            self.transport.write(b"%bcontent-length: %d\r\n\r\n%b" % (_HEADS[status], len(answer), answer))
            if not self.parser.should_keep_alive():
                self.transport.close()

        def _short_cut(self) -> str | None:
            """The number posted to, if this request may be answered without the application."""
            if not sandbox.dice.is_plain or self.expect_100_continue or self.parser.get_method() != b"POST":
                return None
            if self.cycle is not None and not self.cycle.response_complete:
                return None  # why: an earlier request of this connection is to be answered first.
            messages = _MESSAGES.fullmatch(self.url)
            return messages[1].decode() if messages else None

    return Protocol
