"""One delivery, on real sockets: what comes of it, whatever the receiver does, and where the connection really goes."""

from __future__ import annotations

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from benchmarks.receiver import Receiver, Weather, receiving
from benchmarks.sink import make_certificate
from dispatcher.channel import checked_network
from dispatcher.channel.callbacks import HttpCallbacks
from dispatcher.clock import SystemClock
from dispatcher.domain.callback import CallbackKind, parse_networks
from dispatcher.domain.delivery import Delivery
from dispatcher.domain.errors import BadValue

DELIVERY = Delivery(b'{"events":[]}', {"content-type": "application/json", "webhook-id": "req_1"})
LOOPBACK = parse_networks(["127.0.0.0/8"])


@pytest.fixture
async def callbacks() -> AsyncIterator[HttpCallbacks]:
    """Loopback is allowed."""
    made = HttpCallbacks(SystemClock(), LOOPBACK, timeout=timedelta(seconds=1), max_connections=4)
    yield made
    await made.close()


@pytest.fixture
async def strict() -> AsyncIterator[HttpCallbacks]:
    """Nothing but the public internet is allowed."""
    made = HttpCallbacks(SystemClock(), (), timeout=timedelta(seconds=5), max_connections=4)
    yield made
    await made.close()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as made:
        yield made


async def test_what_is_delivered_arrives_byte_for_byte(callbacks: HttpCallbacks, receiver: Receiver) -> None:
    answer = await callbacks.post(receiver.url + "?key=1", DELIVERY)
    assert answer.kind is CallbackKind.DELIVERED
    [got] = receiver.got
    assert got.body == DELIVERY.body
    assert got.headers["webhook-id"] == "req_1"
    assert got.headers["host"] == f"127.0.0.1:{receiver.port}"


@pytest.mark.parametrize(
    ("status", "kind", "may_pass"),
    [
        (200, CallbackKind.DELIVERED, False),
        (204, CallbackKind.DELIVERED, False),
        (301, CallbackKind.REFUSED, False),
        (302, CallbackKind.REFUSED, False),
        (400, CallbackKind.REFUSED, False),
        (404, CallbackKind.REFUSED, False),
        (410, CallbackKind.GONE, False),
        (429, CallbackKind.REFUSED, False),
        (500, CallbackKind.REFUSED, True),
        (503, CallbackKind.REFUSED, True),
    ],
)
async def test_answers_are_told_apart(
    callbacks: HttpCallbacks, receiver: Receiver, status: int, kind: CallbackKind, may_pass: bool
) -> None:
    elsewhere = "location: http://127.0.0.1:1/\r\n" if 300 <= status < 400 else ""
    receiver.weather = Weather((status,), headers=elsewhere)
    answer = await callbacks.post(receiver.url, DELIVERY)
    assert (answer.kind, answer.may_pass) == (kind, may_pass)
    assert len(receiver.got) == 1, "a redirect is not followed"
    if kind is not CallbackKind.DELIVERED:
        assert answer.text.startswith(f"it answered {status}")
        assert "ok" not in answer.text, "what a receiver writes is in no text of ours"


async def test_a_receiver_says_when_to_come_again(callbacks: HttpCallbacks, receiver: Receiver) -> None:
    for said, least_s, most_s in (
        ("120", 120, 120),
        ("Fri, 01 Jan 2999 00:00:00 GMT", 10**9, 10**11),
        ("Fri, 01 Jan 1999 00:00:00 GMT", -(10**11), 0),
    ):
        receiver.weather = Weather((503,), headers=f"retry-after: {said}\r\n")
        answer = await callbacks.post(receiver.url, DELIVERY)
        assert answer.retry_after is not None
        assert least_s <= answer.retry_after.total_seconds() <= most_s
        assert not answer.may_pass
    for said in ("soon", "-1", "", "Fri, 01 Jan 2999", "9" * 400):
        receiver.weather = Weather((503,), headers=f"retry-after: {said}\r\n")
        answer = await callbacks.post(receiver.url, DELIVERY)
        assert answer.kind is CallbackKind.REFUSED
        assert answer.retry_after is None or said.startswith("9")


async def test_connections_are_used_again_and_nothing_is_remembered_of_an_answer(
    callbacks: HttpCallbacks, receiver: Receiver
) -> None:
    receiver.weather = Weather(headers="set-cookie: who=you; Path=/\r\n")
    for _ in range(3):
        assert (await callbacks.post(receiver.url, DELIVERY)).kind is CallbackKind.DELIVERED
    assert [got.headers.get("cookie") for got in receiver.got] == [None, None, None]
    assert receiver.connections == 1


async def test_what_is_not_there_is_unreachable(callbacks: HttpCallbacks, receiver: Receiver) -> None:
    await receiver.go_down()
    answer = await callbacks.post(receiver.url, DELIVERY)
    assert (answer.kind, answer.may_pass) == (CallbackKind.UNREACHABLE, True)


async def test_a_connection_that_breaks_leaves_the_delivery_in_doubt(
    callbacks: HttpCallbacks, receiver: Receiver
) -> None:
    receiver.weather = Weather(breaks=1.0)
    answer = await callbacks.post(receiver.url, DELIVERY)
    assert (answer.kind, answer.may_pass) == (CallbackKind.LOST, True)
    assert len(receiver.got) == 1, "the client repeats nothing by itself"


async def test_silence_ends_with_the_time_limit(callbacks: HttpCallbacks, receiver: Receiver) -> None:
    receiver.weather = Weather(delay_s=30)
    answer = await callbacks.post(receiver.url, DELIVERY)
    assert (answer.kind, answer.text) == (CallbackKind.LOST, "no answer within 1 s")


async def answering(content: bytes, *, endless: bytes = b"") -> asyncio.Server:
    """A server that answers with these bytes, and then with more and more of them."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(content)
            while endless:
                writer.write(endless)
                await writer.drain()
                await asyncio.sleep(0)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    return await asyncio.start_server(serve, "127.0.0.1", 0)


async def test_of_an_endless_answer_only_the_beginning_is_read(callbacks: HttpCallbacks) -> None:
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    server = await answering(head, endless=b"400\r\n" + b"x" * 1024 + b"\r\n")
    async with server:
        port = server.sockets[0].getsockname()[1]
        answer = await callbacks.post(f"http://127.0.0.1:{port}/", DELIVERY)
        assert answer.kind is CallbackKind.DELIVERED


async def test_a_receiver_that_drips_its_answer_does_not_stretch_the_time_limit(
    callbacks: HttpCallbacks,
) -> None:
    server = await answering(b"HTTP/1.1 200 OK\r\n", endless=b"")
    async with server:
        port = server.sockets[0].getsockname()[1]
        answer = await callbacks.post(f"http://127.0.0.1:{port}/", DELIVERY)
        assert answer.kind is CallbackKind.LOST
    head = await answering(b"HTTP/1.1 200 OK\r\n", endless=b"x: y\r\n")
    async with head:
        port = head.sockets[0].getsockname()[1]
        answer = await callbacks.post(f"http://127.0.0.1:{port}/", DELIVERY)
        assert answer.kind is CallbackKind.LOST


async def test_garbage_is_no_answer(callbacks: HttpCallbacks) -> None:
    server = await answering(b"\x16\x03\x01 nonsense\r\n\r\n")
    async with server:
        port = server.sockets[0].getsockname()[1]
        assert (await callbacks.post(f"http://127.0.0.1:{port}/", DELIVERY)).kind is CallbackKind.LOST


@pytest.mark.skipif(shutil.which("openssl") is None, reason="certificates are made by the openssl command")
async def test_a_receiver_whose_certificate_nobody_trusts_gets_nothing(
    callbacks: HttpCallbacks, tmp_path: Path
) -> None:
    _, context = make_certificate(tmp_path)
    seen: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.read())
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context) as server:
        port = server.sockets[0].getsockname()[1]
        answer = await callbacks.post(f"https://127.0.0.1:{port}/", DELIVERY)
    assert answer.kind is CallbackKind.UNREACHABLE
    assert "certificate" in answer.text
    assert not any(seen)


# Private networks


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "2130706433",
        "0x7f.1",
        "127.1",
        "0",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "169.254.169.254",
    ],
)
async def test_whatever_leads_into_a_private_network_is_refused_at_order_and_at_delivery(
    strict: HttpCallbacks, receiver: Receiver, host: str
) -> None:
    for scheme in ("https", "http"):
        url = f"{scheme}://{host}:{receiver.port}/"
        with pytest.raises(BadValue, match=r"events_networks does not allow it|stands for no address"):
            await strict.check(url)
        answer = await strict.post(url, DELIVERY)
        assert answer.kind in {CallbackKind.FORBIDDEN, CallbackKind.UNREACHABLE}
        assert not (answer.kind is CallbackKind.FORBIDDEN and answer.may_pass)
    assert receiver.got == []


class Names:
    """What names stand for, as whoever owns them changes it between two questions."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def __call__(self, _host: str, port: int, **_how: Any) -> list[tuple[Any, ...]]:
        self.asked += 1
        found = self.answers[min(self.asked, len(self.answers)) - 1]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in found]


async def test_a_name_that_moves_into_a_private_network_after_the_check_gets_nothing(
    strict: HttpCallbacks, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = Names(["93.184.215.14"], ["127.0.0.1"])
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", names)
    url = f"https://shop.example:{receiver.port}/"
    await strict.check(url)
    answer = await strict.post(url, DELIVERY)
    assert answer.kind is CallbackKind.FORBIDDEN
    assert "shop.example is at 127.0.0.1, which is this host" in answer.text
    assert names.asked == 2, "the address that was looked at is the one that is connected to"
    assert receiver.got == []


async def test_one_forbidden_address_among_others_is_enough(
    strict: HttpCallbacks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", Names(["93.184.215.14", "10.0.0.1"]))
    with pytest.raises(BadValue, match=r"10\.0\.0\.1"):
        await strict.check("https://shop.example/")


async def test_the_next_address_of_a_name_is_tried_where_the_first_does_not_answer(
    callbacks: HttpCallbacks, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", Names(["127.0.0.2", "127.0.0.1"]))
    answer = await callbacks.post(f"http://shop.example:{receiver.port}/", DELIVERY)
    assert answer.kind is CallbackKind.DELIVERED
    assert receiver.got[0].headers["host"] == f"shop.example:{receiver.port}"


async def test_a_name_that_cannot_be_resolved_is_refused_at_order_and_waited_for_at_delivery(
    callbacks: HttpCallbacks, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nobody(*_: Any, **_how: Any) -> list[Any]:
        raise socket.gaierror("unknown")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", nobody)
    with pytest.raises(BadValue, match="stands for no address"):
        await callbacks.check("https://shop.example/")
    answer = await callbacks.post("https://shop.example/", DELIVERY)
    assert (answer.kind, answer.may_pass) == (CallbackKind.UNREACHABLE, True)


async def test_a_resolver_that_hangs_is_not_waited_for(
    callbacks: HttpCallbacks, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_: Any, **_how: Any) -> list[Any]:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", never)
    monkeypatch.setattr(checked_network, "RESOLVE_WITHIN_S", 0.05)
    with pytest.raises(BadValue):
        await callbacks.check("https://shop.example/")
