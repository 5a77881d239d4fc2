"""Conformance of both transports: for every fault at socket level, was the request possibly written or certainly not.

The faulty server counts the requests it read to the end, which also proves that no transport repeats one by itself.
"""

import asyncio
import gzip
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Literal, get_args

import faulty
import pytest
from faulty import Fault, FaultyServer, after_one_answer, says

from dispatcher.channel.transport import AnswerLost, HttpAnswer, NotWritten, Transport, open_transport

Kind = Literal["pyreqwest", "httpx"]
BODY = b'{"messaging_product":"whatsapp"}'
LARGE_BODY = b"x" * 8_000_000
"""More than the kernel buffers, so that the client is still writing when the fault strikes."""
HEADERS = {"Authorization": "Bearer secret", "Content-Type": "application/json"}
PATIENT = timedelta(seconds=20)
IMPATIENT = timedelta(milliseconds=300)
CONNECT = timedelta(milliseconds=150)

Opener = Callable[..., Transport]


@pytest.fixture(params=get_args(Kind))
async def opener(request: pytest.FixtureRequest) -> AsyncIterator[Opener]:
    """Opens transports of one kind, with other limits where a test needs them, and closes them afterwards."""
    opened: list[Transport] = []

    def open_it(
        *,
        timeout: timedelta = PATIENT,
        connect_timeout: timedelta = CONNECT,
        max_connections: int = 8,
        idle_timeout: timedelta = timedelta(seconds=30),
    ) -> Transport:
        transport = open_transport(
            request.param,
            timeout=timeout,
            connect_timeout=connect_timeout,
            max_connections=max_connections,
            idle_timeout=idle_timeout,
        )
        opened.append(transport)
        return transport

    yield open_it
    for transport in opened:
        await transport.close()


@pytest.fixture
def transport(opener: Opener) -> Transport:
    return opener()


@pytest.fixture(scope="module")
def self_signed(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    """A server's certificate for 127.0.0.1 that nobody has a reason to trust."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs the openssl command to make a certificate")
    folder: Path = tmp_path_factory.mktemp("tls")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    kind = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    name = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run([openssl, "req", *kind, *name, *files], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


def url(server: FaultyServer, scheme: str = "http") -> str:
    return f"{scheme}://127.0.0.1:{server.port}/v25.0/1/messages"


async def outcome(post: Awaitable[HttpAnswer]) -> str:
    """How a post ended, in a word or two."""
    try:
        await post
    except NotWritten as error:
        return "not written" if error.reason else "not written, without a reason"
    except AnswerLost as error:
        return "answer lost" if error.reason else "answer lost, without a reason"
    return "answered"


# Certainly not written -----------------------------------------------------------------------------------------------


async def test_a_refused_connection_is_not_written(transport: Transport) -> None:
    with faulty.a_closed_port() as closed:
        port = closed.getsockname()[1]
        assert await outcome(transport.post(f"http://127.0.0.1:{port}/", HEADERS, BODY)) == "not written"


async def test_an_unknown_name_is_not_written(transport: Transport) -> None:
    # .invalid is reserved to never resolve (RFC 2606); a slow resolver runs into the connect time-out: as good
    assert await outcome(transport.post("http://graph.invalid/", HEADERS, BODY)) == "not written"


async def test_an_untrusted_certificate_is_not_written(
    transport: Transport, self_signed: ssl.SSLContext
) -> None:
    async with FaultyServer(faulty.answers, tls=self_signed) as server:
        assert await outcome(transport.post(url(server, "https"), HEADERS, BODY)) == "not written"
    assert server.record.heads == []


@pytest.mark.parametrize(
    "fault",
    [
        faulty.a_tls_alert,
        faulty.plain_text,
        faulty.closes_at_once,
        faulty.resets_at_once,
        faulty.deaf_silence,
    ],
)
async def test_a_failed_tls_handshake_is_not_written(transport: Transport, fault: Fault) -> None:
    async with FaultyServer(fault) as server:
        assert await outcome(transport.post(url(server, "https"), HEADERS, BODY)) == "not written"


async def test_a_connection_that_takes_too_long_is_not_written(transport: Transport) -> None:
    async with faulty.a_full_backlog() as port:
        if port is None:
            pytest.skip(
                "this kernel queues connections beyond the backlog; the silent TLS handshake stands in"
            )
        assert await outcome(transport.post(f"http://127.0.0.1:{port}/", HEADERS, BODY)) == "not written"


async def test_a_post_that_gets_no_free_connection_is_not_written(opener: Opener) -> None:
    transport = opener(max_connections=1)
    async with FaultyServer(faulty.silence) as server:
        first = asyncio.create_task(transport.post(url(server), HEADERS, BODY))
        await server.record.was_read.wait()
        assert await outcome(transport.post(url(server), HEADERS, BODY)) == "not written"
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        assert server.record.requests_read == 1


# Perhaps written -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "requests_read"),
    [
        (faulty.closes_at_once, 0),
        (faulty.resets_after_the_body, 1),
        (faulty.closes_after_the_body, 1),
        (faulty.half_a_head, 1),
        (faulty.half_a_body, 1),
        (faulty.half_a_body_then_reset, 1),
        (faulty.half_a_chunk, 1),
        (faulty.garbage, 1),
    ],
)
async def test_a_connection_that_breaks_loses_the_answer(
    transport: Transport, fault: Fault, requests_read: int
) -> None:
    async with FaultyServer(fault) as server:
        assert await outcome(transport.post(url(server), HEADERS, BODY)) == "answer lost"
    assert server.record.requests_read == requests_read


async def test_a_reset_at_the_very_start_is_one_or_the_other_but_nothing_was_read(
    transport: Transport,
) -> None:
    """Whether the reset meets a client that is still connecting or one that writes is a race; both words are true."""
    async with FaultyServer(faulty.resets_at_once) as server:
        assert await outcome(transport.post(url(server), HEADERS, BODY)) in {"not written", "answer lost"}
    assert server.record.requests_read == 0


async def test_a_reset_in_the_middle_of_the_body_loses_the_answer(transport: Transport) -> None:
    async with FaultyServer(faulty.resets_within_the_body) as server:
        assert await outcome(transport.post(url(server), HEADERS, LARGE_BODY)) == "answer lost"
    assert len(server.record.heads) == 1
    assert server.record.requests_read == 0


@pytest.mark.parametrize("fault", [faulty.silence, faulty.deaf_silence, faulty.half_a_body_then_silence])
async def test_silence_beyond_the_timeout_loses_the_answer(opener: Opener, fault: Fault) -> None:
    transport = opener(timeout=IMPATIENT)
    async with FaultyServer(fault) as server:
        assert await outcome(transport.post(url(server), HEADERS, BODY)) == "answer lost"
    assert server.record.requests_read <= 1


@pytest.mark.parametrize(
    "fault", [faulty.resets_after_the_body, faulty.closes_after_the_body, faulty.half_a_body, faulty.garbage]
)
async def test_a_pooled_connection_that_breaks_loses_the_answer_and_is_not_tried_again(
    transport: Transport, fault: Fault
) -> None:
    async with FaultyServer(after_one_answer(fault)) as server:
        assert await outcome(transport.post(url(server), HEADERS, BODY)) == "answered"
        assert await outcome(transport.post(url(server), HEADERS, BODY)) == "answer lost"
    assert server.record.connections == 1
    assert server.record.requests_read == 2


@pytest.mark.parametrize("fault", [faulty.closes_at_once, faulty.resets_at_once])
async def test_a_pooled_connection_that_was_closed_meanwhile_never_carries_a_request_twice(
    transport: Transport, fault: Fault
) -> None:
    """The client may notice in time and take a new connection, or write into the closed one; both are honest."""
    async with FaultyServer(after_one_answer(fault)) as server:
        for answered in range(1, 6):
            assert await outcome(transport.post(url(server), HEADERS, BODY)) in {"answered", "answer lost"}
            assert server.record.requests_read <= answered
            await server.record.was_closed.wait()


async def test_a_closed_transport_loses_the_answer_under_way(opener: Opener) -> None:
    transport = opener()
    async with FaultyServer(faulty.silence) as server:
        post = asyncio.create_task(outcome(transport.post(url(server), HEADERS, BODY)))
        await server.record.was_read.wait()
        await transport.close()
        assert await post == "answer lost"


async def test_cancelling_the_task_ends_the_waiting_at_once(opener: Opener) -> None:
    """The request itself was read, and stays in doubt: a cancelled post is as good as a lost answer."""
    transport = opener()
    async with FaultyServer(faulty.silence) as server:
        post = asyncio.create_task(transport.post(url(server), HEADERS, BODY))
        await server.record.was_read.wait()
        post.cancel()
        with pytest.raises(asyncio.CancelledError):
            async with asyncio.timeout(PATIENT.total_seconds() / 2):
                await post
    assert server.record.requests_read == 1


# Answered, and nothing done behind our back --------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 201, 400, 401, 429, 500, 503])
async def test_whatever_the_status_an_answer_is_an_answer(transport: Transport, status: int) -> None:
    async with FaultyServer(says(b"HTTP/1.1 %d Said\r\nContent-Length: 2\r\n\r\n{}" % status)) as server:
        assert await transport.post(url(server), HEADERS, BODY) == HttpAnswer(status, b"{}")
    assert server.record.requests_read == 1


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_not_followed(transport: Transport, status: int) -> None:
    answer = b"HTTP/1.1 %d Gone\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n" % status
    async with FaultyServer(says(answer)) as server:
        assert await transport.post(url(server), HEADERS, BODY) == HttpAnswer(status, b"")
    assert server.record.requests_read == 1


async def test_the_request_goes_out_as_it_was_given(transport: Transport) -> None:
    async with FaultyServer(faulty.answers) as server:
        await transport.post(url(server), HEADERS, BODY)
    [head] = server.record.heads
    assert head.startswith("POST /v25.0/1/messages HTTP/1.1\r\n")
    assert "authorization: bearer secret\r\n" in head.lower()
    names = sorted(line.split(":")[0].lower() for line in head.strip().splitlines()[1:])
    expected = ["authorization", "content-length", "content-type", "host", "user-agent"]
    assert [name for name in names if name != "accept"] == expected


async def test_a_cookie_is_not_kept(transport: Transport) -> None:
    answer = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b; Path=/\r\nContent-Length: 0\r\n\r\n"
    async with FaultyServer(says(answer)) as server:
        await transport.post(url(server), HEADERS, BODY)
        await transport.post(url(server), HEADERS, BODY)
    assert len(server.record.heads) == 2
    assert not any("cookie" in head.lower() for head in server.record.heads)


async def test_a_compressed_body_is_left_as_it_is(transport: Transport) -> None:
    body = gzip.compress(b"{}")
    answer = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    async with FaultyServer(says(answer)) as server:
        assert (await transport.post(url(server), HEADERS, BODY)).body == body


async def test_a_proxy_in_the_environment_is_ignored(opener: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    with faulty.a_closed_port() as closed:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{closed.getsockname()[1]}")
        async with FaultyServer(faulty.answers) as server:
            assert await outcome(opener().post(url(server), HEADERS, BODY)) == "answered"


async def test_a_connection_is_used_again_until_its_idle_time_is_over(opener: Opener) -> None:
    for idle_timeout, connections in ((timedelta(seconds=30), 1), (timedelta(microseconds=1), 3)):
        transport = opener(idle_timeout=idle_timeout)
        async with FaultyServer(faulty.answers) as server:
            for _ in range(3):
                assert await outcome(transport.post(url(server), HEADERS, BODY)) == "answered"
        assert server.record.connections == connections
        assert server.record.requests_read == 3


async def test_many_posts_at_once_get_their_own_answers(opener: Opener) -> None:
    transport = opener(connect_timeout=PATIENT / 2, max_connections=8)
    async with FaultyServer(faulty.echoes) as server:
        bodies = [b"%d" % number for number in range(64)]
        posts = (transport.post(url(server), HEADERS, body) for body in bodies)
        assert [answer.body for answer in await asyncio.gather(*posts)] == bodies
    assert server.record.requests_read == 64
    assert server.record.connections <= 8


@pytest.mark.parametrize("address", ["nonsense", "ftp://127.0.0.1/", "//127.0.0.1/"])
async def test_an_address_that_can_never_be_posted_to_is_an_error_of_the_caller(
    transport: Transport, address: str
) -> None:
    with pytest.raises(ValueError, match=r".+"):
        await transport.post(address, HEADERS, BODY)


async def test_a_header_that_can_never_be_sent_is_an_error_of_the_caller(transport: Transport) -> None:
    async with FaultyServer(faulty.answers) as server:
        with pytest.raises(ValueError, match=r".+"):
            await transport.post(url(server), {"Authorization": "Bearer two\nlines"}, BODY)
    assert server.record.requests_read == 0


def test_a_connect_timeout_as_long_as_the_timeout_is_refused(opener: Opener) -> None:
    with pytest.raises(ValueError, match="must be shorter"):
        opener(timeout=CONNECT, connect_timeout=CONNECT)
