"""The sink: whole requests in, one answer each, in order, wherever the network cuts them."""

from __future__ import annotations

import asyncio
import itertools
import shutil
import ssl
from pathlib import Path
from typing import cast

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.far_side import far_side
from benchmarks.sink import Connection, Sink, Wheel, make_certificate


class Wire:
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        self.written = b""
        self.is_closed = False
        self.news = asyncio.Event()

    def write(self, data: bytes) -> None:
        self.written += data
        self.news.set()

    def close(self) -> None:
        self.is_closed = True

    def is_closing(self) -> bool:
        return self.is_closed

    @property
    def people(self) -> list[str]:
        """Whom the answers are for."""
        return [part.split('"')[0] for part in self.written.decode().split('"wa_id":"')[1:]]


def a_body(person: int) -> bytes:
    return b'{"to":"+4915%d","biz_opaque_callback_data":"house.1.%d.1"}' % (person, person)


def a_request(person: int) -> bytes:
    body = a_body(person)
    return b"POST /v25.0/2001/messages HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (
        len(body),
        body,
    )


def connected(wire: Wire, sink: Sink) -> Connection:
    connection = Connection(sink, None)
    connection.connection_made(cast("asyncio.Transport", wire))
    return connection


@given(cuts=st.lists(st.integers(0, 600), max_size=8))
def test_pipelined_requests_are_answered_once_and_in_order_wherever_they_are_cut(cuts: list[int]) -> None:
    sink, wire = Sink(), Wire()
    connection = connected(wire, sink)
    stream = b"".join(a_request(person) for person in range(5))
    edges = sorted({0, *(cut % len(stream) for cut in cuts), len(stream)})
    for start, end in itertools.pairwise(edges):
        connection.data_received(stream[start:end])
    assert wire.people == [f"4915{person}" for person in range(5)]
    assert sink.tally.accepted == 5


def test_a_body_of_unsaid_length_is_refused() -> None:
    wire = Wire()
    connection = connected(wire, Sink())
    connection.data_received(b"POST /v25.0/2001/messages HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert wire.written.startswith(b"HTTP/1.1 411 ")
    assert wire.is_closed


def test_an_account_lists_the_templates_it_was_given() -> None:
    sink = Sink()
    sink.other("PUT", "/_sink/templates", b'[{"name":"offer"}]')
    assert b'{"data": [{"name": "offer"}]}' in sink.other("GET", "/v25.0/1/message_templates?limit=100", b"")


async def test_answers_that_wait_are_written_in_order_and_not_before_their_time() -> None:
    loop, wire = asyncio.get_running_loop(), Wire()
    wheel = Wheel(loop, 0.02)
    began_s = loop.time()
    for number in range(3):
        wheel.add(cast("asyncio.Transport", wire), b"%d" % number)
    assert wire.written == b""
    async with asyncio.timeout(5):
        await wire.news.wait()
    assert wire.written == b"012"
    assert loop.time() - began_s >= 0.019


@pytest.mark.skipif(shutil.which("openssl") is None, reason="certificates are made by the openssl command")
async def test_whoever_trusts_the_certificate_gets_through(tmp_path: Path) -> None:
    certificate, context = make_certificate(tmp_path)
    sink, loop = Sink(), asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(sink, None), "127.0.0.1", 0, ssl=context)
    async with (
        server,
        httpx.AsyncClient(verify=ssl.create_default_context(cafile=str(certificate))) as client,
    ):
        port = server.sockets[0].getsockname()[1]
        answer = await client.post(f"https://localhost:{port}/v25.0/2001/messages", content=a_body(1))
    assert answer.json()["contacts"] == [{"input": "+49151", "wa_id": "49151"}]


def test_a_sink_in_its_own_process_tells_what_came_and_forgets_it_when_asked() -> None:
    with far_side(latency_ms=1) as sink, httpx.Client() as client:
        for _ in range(2):
            client.post(f"{sink.url}/v25.0/2001/messages", content=a_body(1)).raise_for_status()
        record = sink.record(rate_per_s=10, burst=5)
        assert (record["accepted"], record["duplicates"], record["numbers"]) == (2, 1, {"2001": 2})
        assert record["violations"] == 0
        sink.reset()
        assert sink.record()["accepted"] == 0
