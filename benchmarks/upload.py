"""A million people in one request: how long, how much memory of the HTTP process; the same once more, and one that breaks off."""

from __future__ import annotations

import argparse
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from benchmarks.front_door import FrontDoor, an_order, front_door, people, write_ndjson
from dispatcher.client import Client, campaigns

WITHIN_S = 60.0
GROWTH_MB = 100.0
PIECE_BYTES = 64 * 1024


def arguments(parser: argparse.ArgumentParser) -> None:
    """The size."""
    parser.add_argument("--people", type=int, default=1_000_000)


def run(given: argparse.Namespace) -> dict[str, Any]:
    """Measure it."""
    with front_door() as door, Client(door.url, door.key) as client:
        file = write_ndjson(door.stage.home / "people.ndjson", given.people)
        megabytes = file.stat().st_size / 1e6
        small = client.do(an_order())["id"]
        client.do(campaigns.add_people(small, people(1_000)))  # so that nothing is measured that happens once

        first = client.do(an_order())["id"]
        with _watched(door) as memory:
            answer, seconds = _sent(door, first, file, once="the-million")
        repeated, repeated_s = _sent(door, first, file, once="the-million")
        broken = client.do(an_order())["id"]
        _break_off(door, broken, file)
        left = client.do(campaigns.show(broken))["counts"]["audience"]

        second = client.do(an_order())["id"]
        began_s = time.monotonic()
        by_client = client.do(campaigns.add_people(second, people(given.people)))
        client_s = time.monotonic() - began_s
        shown = [client.do(campaigns.show(each))["counts"]["audience"] for each in (first, second)]
    growth_mb = memory["peak"] - memory["before"]
    return {
        "people": given.people,
        "megabytes": round(megabytes, 1),
        "seconds": round(seconds, 1),
        "people_per_s": round(given.people / seconds),
        "memory_before_mb": round(memory["before"]),
        "memory_growth_mb": round(growth_mb, 1),
        "repeated_s": round(repeated_s, 2),
        "repeated_is_the_same": repeated == answer,
        "left_by_a_broken_stream": left,
        "by_the_client_s": round(client_s, 1),
        "holds": answer["people"] == by_client["people"] == given.people
        and shown == [given.people] * 2
        and seconds <= WITHIN_S * max(1.0, given.people / 1e6)
        and growth_mb < GROWTH_MB
        and repeated == answer
        and left == 0,
    }


def _sent(door: FrontDoor, campaign: int, file: Path, *, once: str) -> tuple[dict[str, Any], float]:
    """One stream, straight from the file. Returns the answer and the seconds."""
    began_s = time.monotonic()
    with file.open("rb") as content:
        answer = httpx.post(
            f"{door.url}/v1/campaigns/{campaign}/people/stream",
            headers=_headers(door, once),
            content=iter(lambda: content.read(PIECE_BYTES), b""),
            timeout=600,
            trust_env=False,
        )
    answer.raise_for_status()
    return answer.json(), time.monotonic() - began_s


def _break_off(door: FrontDoor, campaign: int, file: Path) -> None:
    """Half of a stream, and then nothing: the connection ends."""
    at = urlsplit(door.url)
    assert at.hostname is not None
    assert at.port is not None
    size_bytes = file.stat().st_size
    head = f"POST /v1/campaigns/{campaign}/people/stream HTTP/1.1\r\nHost: {at.netloc}\r\nContent-Length: {size_bytes}\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in _headers(door, "broken").items())
    with socket.create_connection((at.hostname, at.port)) as connection, file.open("rb") as content:
        connection.sendall(f"{head}\r\n".encode())
        for _ in range(size_bytes // PIECE_BYTES // 2):
            connection.sendall(content.read(PIECE_BYTES))


def _headers(door: FrontDoor, once: str) -> dict[str, str]:
    return {
        "Authorization": f"Bearer {door.key}",
        "Idempotency-Key": once,
        "Content-Type": "application/x-ndjson",
    }


@contextmanager
def _watched(door: FrontDoor) -> Iterator[dict[str, float]]:
    """Resident memory of the HTTP process: before, and at its highest within the block."""
    before = door.memory_mb()
    memory = {"before": before, "peak": before}
    is_over = threading.Event()

    def look() -> None:
        while not is_over.wait(0.02):
            memory["peak"] = max(memory["peak"], door.memory_mb())

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield memory
    finally:
        is_over.set()
        watcher.join()
