"""The bare loop: so many tasks, each posts one prepared message after the other and reads the answer. Nothing else.

What a client costs without any dispatcher: no ledger, no limits, no check of what came back beyond the status.
"""

from __future__ import annotations

import argparse
import asyncio
import ssl
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from functools import lru_cache
from pathlib import Path

import httpx
import uvloop
from pyreqwest.client import ClientBuilder
from pyreqwest.http import Url

from benchmarks.contestants.read import HEADERS, certificate, path_of, posts, url, wait_for_end, wait_for_go

Post = Callable[[str, bytes], Awaitable[int]]
"""Posts a body to a URL; returns the status."""


def with_pyreqwest(in_flight: int) -> Post:
    """The dispatcher's own client, set as the dispatcher sets it where that costs or gains anything."""
    builder = (
        ClientBuilder()
        .http1_only()
        .no_proxy()
        .timeout(timedelta(seconds=20))
        .max_connections(in_flight)
        .pool_max_idle_per_host(in_flight)
        .default_cookie_store(False)
        .error_for_status(False)
    )
    if (trusted := certificate()) is not None:
        builder = builder.add_root_certificate_pem(Path(trusted).read_bytes())
    client, read = builder.build(), lru_cache(maxsize=None)(Url)

    async def post(target: str, body: bytes) -> int:
        response = await client.post(read(target)).headers(HEADERS).body_bytes(body).build().send()
        await response.bytes()
        return response.status

    return post


def with_httpx(in_flight: int) -> Post:
    """One shared client with as many connections as there are tasks."""
    client = httpx.AsyncClient(
        headers=HEADERS,
        limits=httpx.Limits(max_connections=in_flight, max_keepalive_connections=in_flight),
        timeout=20,
        trust_env=False,
        verify=ssl.create_default_context(cafile=certificate()),
    )

    async def post(target: str, body: bytes) -> int:
        return (await client.post(target, content=body)).status_code

    return post


CLIENTS = {"pyreqwest": with_pyreqwest, "httpx": with_httpx}


async def run(prepared: list[tuple[str, bytes]], post: Post, in_flight: int) -> None:
    """Post all of them once told to."""
    left = iter(prepared)
    await wait_for_go()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(in_flight):
            tasks.create_task(_post_on(left, post))
    await wait_for_end()


async def _post_on(left: Iterator[tuple[str, bytes]], post: Post) -> None:
    for target, body in left:
        status = await post(target, body)
        assert status == 200, status


async def main() -> None:
    """One run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--client", choices=CLIENTS, required=True)
    parser.add_argument("--in-flight", type=int, required=True)
    given = parser.parse_args()
    prepared = [(url() + path_of(number), body) for number, body in posts()]
    await run(prepared, CLIENTS[given.client](given.in_flight), given.in_flight)


if __name__ == "__main__":
    uvloop.run(main())
