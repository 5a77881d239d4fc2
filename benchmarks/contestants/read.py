"""How a contestant's process learns of its messages, its sink and its start. Knows nothing of the house."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path

GRAPH_VERSION = "v25.0"
TOKEN = "sandbox-token"  # noqa: S105 - opens nothing
HEADERS = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}

POSTS = "BENCHMARK_POSTS"
URL = "BENCHMARK_URL"
REDIS = "BENCHMARK_REDIS"
CERTIFICATE = "BENCHMARK_CERTIFICATE"
"""Environment variables: the file of messages; of the sink; of Redis, as `unix:///path`; the file of a certificate to trust."""


def url() -> str:
    """Where the sink is."""
    return os.environ[URL]


def redis_url() -> str:
    """Where Redis is, for those that need one."""
    return os.environ[REDIS]


def certificate() -> str | None:
    """To be trusted, where the sink speaks TLS."""
    return os.environ.get(CERTIFICATE)


def path_of(number: str) -> str:
    """Where a number's messages are posted."""
    return f"/{GRAPH_VERSION}/{number}/messages"


def posts() -> Iterator[tuple[str, bytes]]:
    """Phone number's id and body, as `posts.py` has written them."""
    with Path(os.environ[POSTS]).open("rb") as lines:
        for line in lines:
            number, _, body = line.rstrip(b"\n").partition(b" ")
            yield number.decode(), body


async def wait_for_go() -> None:
    """Say that we are ready, and wait for SIGUSR1."""
    go = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, go.set)
    print("ready", flush=True)
    await go.wait()


async def wait_for_end() -> None:
    """Stay until we are ended: what a process has used cannot be read any more when it is gone."""
    await asyncio.Event().wait()
