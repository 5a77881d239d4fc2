"""`python -m benchmarks.sink`: a receiver that answers posts of messages as Meta does, and costs next to nothing.

A plain asyncio protocol on uvloop that reads HTTP/1.1 by hand: keep-alive, pipelining, bodies of a known length, nothing
else. It accepts everything; what it has seen is kept in a `Tally` and told under `/_sink/`:

    GET  /_sink/record?rate=80&burst=80   counts, duplicates, first and last arrival; how each number kept to a rate
    GET  /_sink/share?rate=80&seconds=30  how much of that rate was used within the seconds after the first message
    GET  /_sink/replies                   number of each reply (a message of campaign 0) → its arrival
    POST /_sink/reset                     forget all of it
    PUT  /_sink/templates                 a list of templates, as the sender's account shall list them

`--latency-ms` holds each answer back; `--tls` opens a second port with a certificate made at the start.
Says where it is as one JSON line. What one process of it can take is measured by `contestants/raw.py`.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import signal
import ssl
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import uvloop

from benchmarks.tally import Tally

_HEAD = b"HTTP/1.1 %d %b\r\ncontent-type: application/json; charset=UTF-8\r\ncontent-length: %d\r\n\r\n%b"
_REASONS = {200: b"OK", 400: b"Bad Request", 404: b"Not Found", 411: b"Length Required"}
_SLOT_S = 0.001
BACKLOG = 4_096

Later = Callable[[asyncio.Transport, bytes], None]
"""Writes an answer when its time has come."""


class Sink:
    """What all connections share."""

    def __init__(self) -> None:
        self.tally = Tally()
        self.templates: list[dict[str, Any]] = []

    def post(self, number: bytes, body: bytes, now_s: float) -> bytes:
        """The answer to one message. Source of its form: Meta, "Send messages", read 2026-09."""
        to = self.tally.take(number, body, now_s)
        if to is None:
            return _answer(400, {"error": {"message": "no person or no token", "code": 100}})
        said = (
            b'{"messaging_product":"whatsapp","contacts":[{"input":"%b","wa_id":"%b"}],'
            b'"messages":[{"id":"wamid.SINK%048d","message_status":"accepted"}]}'
        ) % (to, to.lstrip(b"+"), self.tally.accepted)
        return _HEAD % (200, b"OK", len(said), said)

    def other(self, method: str, target: str, body: bytes) -> bytes:
        """The answer to anything else: the console, and what a sender reads of its account."""
        url = urlsplit(target)
        asked = {name: float(values[0]) for name, values in parse_qs(url.query).items() if name in _NUMBERS}
        match method, url.path:
            case "GET", "/_sink/record":
                return _answer(
                    200, self.tally.report(rate_per_s=asked.get("rate"), burst=asked.get("burst", 0.0))
                )
            case "GET", "/_sink/share":
                return _answer(200, {"share": self.tally.share_of(asked["rate"], asked["seconds"])})
            case "GET", "/_sink/replies":
                return _answer(200, self.tally.replies)
            case "POST", "/_sink/reset":
                self.tally = Tally()
                return _answer(200, {})
            case "PUT", "/_sink/templates":
                self.templates = json.loads(body)
                return _answer(200, {})
            case "GET", path if path.endswith("/message_templates"):
                return _answer(200, {"data": self.templates})
            case _:
                return _answer(404, {"error": {"message": f"no {method} {url.path} here", "code": 100}})


_NUMBERS = frozenset({"rate", "burst", "seconds"})


class Connection(asyncio.Protocol):
    """One connection; answers come in the order of the requests."""

    def __init__(self, sink: Sink, later: Later | None) -> None:
        self._sink = sink
        self._later = later
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self._rest:
            data = self._rest + data
        now_s = time.monotonic()
        answers = []
        at = 0
        while (end := data.find(b"\r\n\r\n", at)) >= 0:
            head, start = data[at:end], end + 4
            length = _length(head)
            if length is None:
                answers.append(_answer(411, {"error": {"message": "say the length", "code": 100}}))
                self._transport.write(b"".join(answers))
                self._transport.close()
                return
            if len(data) < start + length:
                break
            at = start + length
            answers.append(self._answer(head, data[start:at], now_s))
        self._rest = data[at:]
        if answers:
            if self._later is not None:
                self._later(self._transport, b"".join(answers))
            else:
                self._transport.write(b"".join(answers))

    def _answer(self, head: bytes, body: bytes, now_s: float) -> bytes:
        method, target, _ = head[: head.find(b"\r\n")].split(b" ", 2)
        if method == b"POST" and target.endswith(b"/messages"):
            return self._sink.post(target[:-9].rpartition(b"/")[2], body, now_s)
        return self._sink.other(method.decode(), target.decode(), body)


class Wheel:
    """Answers that wait, all for the same time: one timer per millisecond, however many requests."""

    def __init__(self, loop: asyncio.AbstractEventLoop, delay_s: float) -> None:
        self._loop = loop
        self._delay_s = delay_s
        self._slot: list[tuple[asyncio.Transport, bytes]] = []
        self._slot_ends_s = 0.0

    def add(self, transport: asyncio.Transport, answer: bytes) -> None:
        """Write it when its time has come; a slot that is open takes it along."""
        now_s = time.monotonic()
        if now_s >= self._slot_ends_s:
            self._slot, self._slot_ends_s = [], now_s + _SLOT_S
            self._loop.call_later(self._delay_s, self._write, self._slot)
        self._slot.append((transport, answer))

    def _write(self, slot: list[tuple[asyncio.Transport, bytes]]) -> None:
        for transport, answer in slot:
            if not transport.is_closing():
                transport.write(answer)


def _length(head: bytes) -> int | None:
    """Of the body; None for a body whose length nobody says."""
    lower = head.lower()
    at = lower.find(b"\r\ncontent-length:")
    if at < 0:
        return None if b"\r\ntransfer-encoding:" in lower else 0
    at += 17
    end = lower.find(b"\r\n", at)
    return int(lower[at : end if end >= 0 else len(lower)])


def _answer(status: int, said: object) -> bytes:
    body = json.dumps(said).encode()
    return _HEAD % (status, _REASONS[status], len(body), body)


def make_certificate(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """A certificate for this machine's loopback that signs itself, by the `openssl` command; and TLS with it."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    # why not a CA's: rustls refuses a certificate that is both a CA's and the server's.
    made = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    names = "-addext subjectAltName=DNS:localhost,IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE"
    subprocess.run(  # noqa: S603 - our own arguments
        ["openssl", *made.split(), *names.split(), "-keyout", key, "-out", certificate],  # noqa: S607
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return certificate, context


async def serve(sink: Sink, *, port: int, latency_s: float, tls_folder: Path | None) -> None:
    """Serve on the loopback until SIGTERM or SIGINT."""
    loop = asyncio.get_running_loop()
    later = Wheel(loop, latency_s).add if latency_s else None

    def connect() -> Connection:
        return Connection(sink, later)

    over = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, over.set)
    plain = await loop.create_server(connect, "127.0.0.1", port, backlog=BACKLOG)
    said = {"url": f"http://127.0.0.1:{plain.sockets[0].getsockname()[1]}"}
    servers = [plain]
    if tls_folder is not None:
        certificate, context = make_certificate(tls_folder)
        secure = await loop.create_server(connect, "127.0.0.1", 0, ssl=context, backlog=BACKLOG)
        servers.append(secure)
        said |= {
            "tls_url": f"https://localhost:{secure.sockets[0].getsockname()[1]}",
            "certificate": str(certificate),
        }
    print(json.dumps(said), flush=True)
    gc.freeze()
    await over.wait()
    for server in servers:
        server.close()


def main() -> None:
    """Until it is told to stop."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.sink", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--port", type=int, default=0, help="0: a free one")
    parser.add_argument("--latency-ms", type=float, default=0.0, help="until an answer")
    parser.add_argument("--tls", action="store_true", help="a second port with TLS")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dispatcher-sink-") as folder:
        tls_folder = Path(folder) if given.tls else None
        uvloop.run(serve(Sink(), port=given.port, latency_s=given.latency_ms / 1_000, tls_folder=tls_folder))


if __name__ == "__main__":
    main()
