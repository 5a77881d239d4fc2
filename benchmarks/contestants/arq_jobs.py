"""One arq job per message: a shared httpx client, tenacity around the post, a token bucket in Redis before it.

Written as the documentation of arq, httpx and tenacity suggests, with what helps it most: bodies are ready, results are not
kept, and `max_jobs` is tuned by the harness. Jobs are parked under another queue's name until the start.
"""

from __future__ import annotations

import argparse
import asyncio
import ssl
from pathlib import Path
from typing import Any

import httpx
from arq import create_pool
from arq.connections import RedisSettings
from arq.worker import Worker, func
from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from benchmarks.contestants.read import HEADERS, certificate, path_of, posts, redis_url, url

PARKED = "parked"
RATE_PER_S = 1_000
"""Of each sender; wide enough never to bind."""
BUCKET = (Path(__file__).parent / "bucket.lua").read_text()


async def send(ctx: dict[str, Any], number: str, body: bytes) -> str:
    """One message. Returns Meta's id for it."""
    while wait_ms := await ctx["take"](keys=[f"bucket:{number}"], args=[RATE_PER_S, RATE_PER_S]):  # noqa: ASYNC110 - Redis wakes nobody
        await asyncio.sleep(wait_ms / 1_000)
    answer = await post(ctx["client"], number, body)
    return str(answer["messages"][0]["id"])


@retry(
    retry=retry_if_exception_type(httpx.TransportError),
    stop=stop_after_attempt(5),
    wait=wait_random_exponential(multiplier=0.1, max=5),
)
async def post(client: httpx.AsyncClient, number: str, body: bytes) -> Any:
    """Tried again when the connection fails."""
    response = await client.post(path_of(number), content=body)
    response.raise_for_status()
    return response.json()


def worker(max_jobs: int) -> Worker:
    """One worker process."""

    async def startup(ctx: dict[str, Any]) -> None:
        ctx["client"] = httpx.AsyncClient(
            base_url=url(),
            headers=HEADERS,
            limits=httpx.Limits(max_connections=max_jobs, max_keepalive_connections=max_jobs),
            verify=ssl.create_default_context(cafile=certificate()),
        )
        ctx["take"] = ctx["redis"].register_script(BUCKET)
        print("ready", flush=True)

    async def shutdown(ctx: dict[str, Any]) -> None:
        await ctx["client"].aclose()

    return Worker(
        [func(send, keep_result=0)],
        redis_settings=RedisSettings.from_dsn(redis_url()),
        on_startup=startup,
        on_shutdown=shutdown,
        max_jobs=max_jobs,
    )


async def park() -> None:
    """Queue all messages where no worker looks."""
    redis = await create_pool(RedisSettings.from_dsn(redis_url()))
    for number, body in posts():
        await redis.enqueue_job("send", number, body, _queue_name=PARKED)
    await redis.aclose()


def main() -> None:
    """`--park` queues the messages, without it this is the worker."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--max-jobs", type=int, default=10)
    parser.add_argument("--park", action="store_true")
    given = parser.parse_args()
    if given.park:
        asyncio.run(park())
    else:
        worker(given.max_jobs).run()


if __name__ == "__main__":
    main()
