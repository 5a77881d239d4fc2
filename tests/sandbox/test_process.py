"""The sandbox as a process of its own, over real sockets."""

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

from .builders import TOKEN, a_message

ROOT = Path(__file__).parents[2]
NUMBER = "200000000000003"
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
        components = [
            {"type": "header", "parameters": [{"type": "text", "text": "Dana"}]},
            {
                "type": "body",
                "parameters": [{"type": "text", "text": "Dana"}, {"type": "text", "text": "20%"}],
            },
            {
                "type": "button",
                "sub_type": "url",
                "index": "1",
                "parameters": [{"type": "text", "text": "x"}],
            },
        ]
        said = a_message(template="autumn_offer", components=components, **message)  # type: ignore[arg-type]
        return self.http.post(f"/v25.0/{NUMBER}/messages", json=said)

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
    body = json.dumps(a_message(type="telegram")).encode()
    address = urlsplit(process.said["url"])
    head = (
        f"POST /v25.0/{NUMBER}/messages HTTP/1.1\r\nhost: sandbox\r\nauthorization: Bearer {TOKEN}\r\n"
        f"content-length: {len(body)}\r\n"
    ).encode()
    health = b"GET /_sandbox/health HTTP/1.1\r\nhost: sandbox\r\n"
    with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
        connection.sendall(head[:20])
        connection.sendall(head[20:] + b"\r\n" + body[:10])
        connection.sendall(body[10:] + health + b"\r\n" + head + b"connection: close\r\n\r\n" + body)
        answers = b""
        while chunk := connection.recv(65536):
            answers += chunk
    assert answers.count(b"HTTP/1.1 ") == 3
    first, second, third = answers.split(b"HTTP/1.1 ")[1:]
    assert b"131051" in first
    assert b'"ok":true' in second
    assert b"131051" in third


@pytest.mark.parametrize(("fault", "accepted"), [("closed_unread", 0), ("closed_accepted", 1)])
def test_a_fault_breaks_the_connection(process: Process, fault: str, accepted: int) -> None:
    process.behave(faults={fault: 1})
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError)):
        process.post()
    assert process.accepted() == accepted


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
