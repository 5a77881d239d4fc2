"""One Celery task per message: prefork, a `requests` session per process, a token bucket in Redis before each post.

Written as Celery's documentation suggests, with what helps it most: bodies are ready, results are ignored, no gossip, and the
number of processes is tuned by the harness. Tasks are parked under another queue's name until the start.
`python -m benchmarks.contestants.celery_tasks` parks them; the worker is Celery's own command.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import requests
from celery import Celery, Task
from celery.signals import worker_process_init, worker_ready
from redis import Redis

from benchmarks.contestants.read import HEADERS, REDIS, certificate, path_of, posts, redis_url, url

PARKED = "parked"
RATE_PER_S = 1_000
"""Of each sender; wide enough never to bind."""
BUCKET = (Path(__file__).parent / "bucket.lua").read_text()

app = Celery("benchmark", broker=os.environ.get(REDIS, "").replace("unix://", "redis+socket://"))
app.conf.update(
    task_ignore_result=True, broker_connection_retry_on_startup=True, worker_redirect_stdouts=False
)
own: dict[str, Any] = {}
"""What a worker process keeps: its session and its way to the buckets."""


@worker_process_init.connect  # type: ignore[untyped-decorator]
def prepare(**_: object) -> None:
    """Once per worker process."""
    own["session"] = requests.Session()
    own["session"].headers.update(HEADERS)
    own["session"].verify = certificate() or True
    own["take"] = Redis.from_url(redis_url()).register_script(BUCKET)


@worker_ready.connect  # type: ignore[untyped-decorator]
def tell(**_: object) -> None:
    """The parent has its processes."""
    print("ready", flush=True)


@app.task(  # type: ignore[untyped-decorator]
    name="send", bind=True, autoretry_for=(requests.ConnectionError,), retry_backoff=True, max_retries=5
)
def send(self: Task, number: str, body: str) -> None:
    """One message."""
    while wait_ms := own["take"](keys=[f"bucket:{number}"], args=[RATE_PER_S, RATE_PER_S]):
        time.sleep(wait_ms / 1_000)
    own["session"].post(url() + path_of(number), data=body, timeout=20).raise_for_status()


def main() -> None:
    """Queue all messages where no worker looks."""
    with app.producer_pool.acquire(block=True) as producer:
        for number, body in posts():
            send.apply_async((number, body.decode()), queue=PARKED, producer=producer)


if __name__ == "__main__":
    main()
