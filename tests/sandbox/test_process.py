"""The sandbox as a process of its own, over real sockets."""

import asyncio
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from .builders import TOKEN, Json, a_message, body, button, header, person
from .receiver import SECRET, Receiver

ROOT = Path(__file__).parents[2]
NUMBER = "200000000000003"
MESSAGE = a_message(
    template="autumn_offer",
    components=[
        header("text", "Dana"),
        body("Dana", "20%"),
        button("url", 1, "text", "x"),
    ],
)
COMMAND = [sys.executable, "-m", "dispatcher.sandbox"]


class Process:
    """A sandbox that has said where it is."""

    def __init__(self) -> None:
        command = [*COMMAND, "--world", "config/sandbox.toml", "--seed", "1"]
        self.popen = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self.popen.stdout is not None
        self.said = json.loads(self.popen.stdout.readline())
        self.http = httpx.Client(
            base_url=self.said["url"], headers={"authorization": f"Bearer {TOKEN}"}, timeout=10
        )

    def behave(self, **behaviour: object) -> None:
        plain = {"latency": {"ms": 0}, "errors": {}, "faults": {}}
        assert self.http.patch("/_sandbox/behaviour", json={**plain, **behaviour}).status_code == 200

    def post(self, **message: object) -> httpx.Response:
        return self.http.post(f"/v25.0/{NUMBER}/messages", json={**MESSAGE, **message})

    def accepted(self) -> int:
        return int(self.http.get("/_sandbox/record").json()["accepted"])

    def stop(self, by: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        """Its exit status and what it wrote to standard error."""
        self.popen.send_signal(by)
        _, complaints = self.popen.communicate(timeout=10)
        self.http.close()
        return self.popen.returncode, complaints


@pytest.fixture(scope="module")
def running() -> Iterator[Process]:
    process = Process()
    yield process
    assert process.stop() == (0, "")


@pytest.fixture
def process(running: Process) -> Process:
    running.behave()
    running.http.post("/_sandbox/reset")
    return running


def test_it_says_where_it_is_as_soon_as_it_accepts_connections(process: Process) -> None:
    assert set(process.said) == {"url", "pid"}
    assert process.said["pid"] == process.popen.pid
    assert process.http.get("/_sandbox/health").json()["ok"] is True


def test_the_short_cut_and_the_application_answer_alike(process: Process) -> None:
    short_cut = process.post()
    process.behave(latency={"ms": 0.01})
    application = process.post()
    for response in (short_cut, application):
        assert response.status_code == 200
        assert response.headers["content-type"] == "application/json"
        assert response.json()["messages"][0]["message_status"] == "accepted"
    assert process.accepted() == 2


def test_the_short_cut_refuses_too(process: Process) -> None:
    response = process.post(type="telegram")
    assert (response.status_code, response.json()["error"]["code"]) == (400, 131051)
    missing = process.http.post("/v25.0/1/messages", json=a_message())
    assert missing.json()["error"]["error_subcode"] == 33


def test_a_request_in_pieces_and_two_in_one_piece_are_answered_in_order(process: Process) -> None:
    message = json.dumps(a_message(type="telegram")).encode()
    address = urlsplit(process.said["url"])
    head = (
        f"POST /v25.0/{NUMBER}/messages HTTP/1.1\r\nhost: sandbox\r\nauthorization: Bearer {TOKEN}\r\n"
        f"content-length: {len(message)}\r\n"
    ).encode()
    health = b"GET /_sandbox/health HTTP/1.1\r\nhost: sandbox\r\n"
    with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
        connection.sendall(head[:20])
        connection.sendall(head[20:] + b"\r\n" + message[:10])
        connection.sendall(message[10:] + health + b"\r\n" + head + b"connection: close\r\n\r\n" + message)
        answers = b""
        while chunk := connection.recv(65536):
            answers += chunk
    assert answers.count(b"HTTP/1.1 ") == 3
    first, second, third = answers.split(b"HTTP/1.1 ")[1:]
    assert b"131051" in first
    assert b'"ok":true' in second
    assert b"131051" in third


def raw_post(process: Process, body_bytes: int | None = None) -> socket.socket:
    """A message on a socket of its own; body_bytes: only so many of its body, None for all."""
    message = json.dumps(MESSAGE).encode()
    address = urlsplit(process.said["url"])
    connection = socket.create_connection((address.hostname, address.port), timeout=10)
    head = (
        f"POST /v25.0/{NUMBER}/messages HTTP/1.1\r\nhost: sandbox\r\nauthorization: Bearer {TOKEN}\r\n"
        f"content-length: {len(message)}\r\n\r\n"
    )
    connection.sendall(head.encode() + message[:body_bytes])
    return connection


def read_all(connection: socket.socket) -> bytes:
    """Everything until the other side closes. Raises ConnectionResetError when it resets."""
    with connection:
        return b"".join(iter(lambda: connection.recv(65536), b""))


@pytest.mark.parametrize(("fault", "accepted"), [("closed_unread", 0), ("closed_accepted", 1)])
def test_a_fault_breaks_the_connection(process: Process, fault: str, accepted: int) -> None:
    process.behave(faults={fault: 1})
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError)):
        process.post()
    assert process.accepted() == accepted


def test_a_reset_in_the_middle_of_the_body_is_a_reset(process: Process) -> None:
    process.behave(faults={"reset_in_body": 1})
    with pytest.raises(ConnectionResetError):
        read_all(raw_post(process, body_bytes=20))
    assert process.accepted() == 0


def test_a_reset_after_acceptance_is_a_reset(process: Process) -> None:
    process.behave(faults={"reset_accepted": 1})
    with pytest.raises(ConnectionResetError):
        read_all(raw_post(process))
    assert process.accepted() == 1


def test_half_an_answer_is_a_whole_head_and_half_a_body(process: Process) -> None:
    process.behave(faults={"half_answer_accepted": 1})
    head, _, body = read_all(raw_post(process)).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    promised = int(head.rpartition(b"content-length: ")[2])
    assert len(body) == promised // 2
    assert b"wamid" not in body
    assert process.accepted() == 1


def test_garbage_is_no_http(process: Process) -> None:
    process.behave(faults={"garbage_accepted": 1})
    with pytest.raises(httpx.RemoteProtocolError):
        process.post()
    assert process.accepted() == 1


def test_a_page_is_no_json(process: Process) -> None:
    process.behave(faults={"page_accepted": 1})
    response = process.post()
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/html"
    assert response.text.startswith("<!DOCTYPE html>")
    assert process.accepted() == 1


async def test_webhooks_leave_the_process_and_it_still_ends_quietly(receiver: Receiver) -> None:
    process = Process()

    def play() -> Json:
        process.behave(webhooks={"delivered_share": 0, "sent": {"ms": 1}, "failed": {"ms": 1}})
        process.http.put("/_sandbox/callback", json={"url": receiver.url, "app_secret": SECRET})
        for place in range(20):
            process.post(to=person(place))
        tally: Json = process.http.get("/_sandbox/webhooks?until_idle=10").json()
        process.behave(webhooks={"sent": {"ms": 60_000}})
        process.post(to=person(20))
        return tally

    tally = await asyncio.to_thread(play)
    assert (tally["idle"], tally["delivered"]) == (True, 20)
    assert receiver.times("sent") == 20
    assert all(got.is_signed for got in receiver.got)
    assert await asyncio.to_thread(process.stop) == (0, "")


def test_a_wrong_world_is_one_line_and_status_two(tmp_path: Path) -> None:
    broken = tmp_path / "world.toml"
    broken.write_text('[[numbers]]\nid = "1"\n')
    for world in (broken, tmp_path / "missing.toml"):
        done = subprocess.run(
            [*COMMAND, "--world", str(world)], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 2
        assert done.stdout == ""
        assert str(world) in done.stderr
        assert "Traceback" not in done.stderr


def test_it_ends_on_sigint_even_while_a_client_waits_for_silence() -> None:
    process = Process()
    process.behave(faults={"silent_accepted": 1})
    with pytest.raises(httpx.ReadTimeout):
        process.http.post(
            f"/v25.0/{NUMBER}/messages",
            json=a_message(
                template="store_opening",
                components=[
                    {
                        "type": "header",
                        "parameters": [{"type": "location", "location": {"latitude": 1, "longitude": 2}}],
                    },
                    {"type": "body", "parameters": [{"type": "text", "text": "Monday"}]},
                ],
            ),
            timeout=0.3,
        )
    assert process.accepted() == 1
    assert process.stop(signal.SIGINT)[0] == 0
