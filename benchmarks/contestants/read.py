"""How a contestant's process gets its messages and its start. Knows nothing of the house."""

from __future__ import annotations

import argparse
import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path

GRAPH_VERSION = "v25.0"
TOKEN = "sandbox-token"  # noqa: S105 - opens nothing
HEADERS = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}


def arguments(description: str | None) -> argparse.ArgumentParser:
    """What all of them are told."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--url", required=True, help="of the sink")
    parser.add_argument("--posts", type=Path, required=True, help="the file of messages")
    parser.add_argument("--certificate", help="to be trusted, where the sink speaks TLS")
    return parser


def path_of(number: str) -> str:
    """Where a number's messages are posted."""
    return f"/{GRAPH_VERSION}/{number}/messages"


def posts(file: Path) -> Iterator[tuple[str, bytes]]:
    """Phone number's id and body, as `posts.py` has written them."""
    with file.open("rb") as lines:
        for line in lines:
            number, _, body = line.rstrip(b"\n").partition(b" ")
            yield number.decode(), body


async def wait_for_go() -> None:
    """Say that we are ready, and wait for SIGUSR1."""
    go = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, go.set)
    print("ready", flush=True)
    await go.wait()
