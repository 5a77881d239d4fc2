"""Starts the contestants other than the dispatcher: processes that wait, messages prepared, for the word go."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from redis import Redis

from benchmarks.contestants import read
from benchmarks.contestants.posts import write_posts
from benchmarks.far_side import FarSide, line_of
from benchmarks.harness import Ready
from dispatcher.embedded import EmbeddedValkey
from dispatcher.leash import Leash

PARKED = "parked"
_ROOT = Path(__file__).parents[2]
_HERE = "benchmarks.contestants"


@dataclass(frozen=True, slots=True)
class Loop:
    """A loop around a client; begins at a signal."""

    name: str
    messages: int
    senders: int
    module: Sequence[str]
    """With its arguments."""

    @contextmanager
    def ready(self, sink: FarSide) -> Iterator[Ready]:
        """One process."""
        with _folder() as home:
            environment = _environment(home, sink, self.messages, self.senders)
            with _started(self.module, home, environment) as process:
                yield Ready(lambda: process.send_signal(signal.SIGUSR1), {"client": [process.pid]})


@dataclass(frozen=True, slots=True)
class Jobs:
    """One job per message; begins when the queue that was filled gets the name that the workers watch."""

    name: str
    messages: int
    senders: int
    park: Sequence[str]
    """Module and arguments that fill the queue `parked`."""
    work: Sequence[str]
    """Module and arguments of the workers."""
    queue: str
    """The name they watch."""

    @contextmanager
    def ready(self, sink: FarSide) -> Iterator[Ready]:
        """Workers with nothing to do, and a full queue beside them."""
        with _folder() as home, EmbeddedValkey(home) as valkey, Redis.from_url(valkey.url) as redis:
            environment = {
                **_environment(home, sink, self.messages, self.senders),
                read.REDIS: valkey.url,
            }
            subprocess.run(  # noqa: S603 - our own program and arguments
                [sys.executable, "-m", *self.park], check=True, cwd=_ROOT, env=environment
            )
            with _started(self.work, home, environment) as process:
                yield Ready(
                    lambda: redis.rename(PARKED, self.queue),
                    {"workers": [process.pid], "valkey": [redis.info("server")["process_id"]]},
                    # why: arq looks into its queue twice a second; its waiting is not what is measured.
                    counts_from_go=False,
                )


def raw(messages: int, senders: int) -> Loop:
    """What the sink can take."""
    return Loop("raw", messages, senders, [f"{_HERE}.raw"])


def bare(client: str, messages: int, senders: int, in_flight: int) -> Loop:
    """A bare loop of one HTTP client, so many posts at once."""
    arguments = ["--client", client, "--in-flight", str(in_flight)]
    return Loop(f"{client} bare, {in_flight} at once", messages, senders, [f"{_HERE}.bare", *arguments])


def arq(messages: int, senders: int, max_jobs: int) -> Jobs:
    """One arq worker, so many jobs at once."""
    module = f"{_HERE}.arq_jobs"
    work = [module, "--max-jobs", str(max_jobs)]
    return Jobs(f"arq, {max_jobs} jobs at once", messages, senders, [module, "--park"], work, "arq:queue")


def celery(messages: int, senders: int, processes: int) -> Jobs:
    """One Celery worker with so many processes."""
    module = f"{_HERE}.celery_tasks"
    work = ["celery", "-A", module, "worker", "--concurrency", str(processes), "--loglevel", "ERROR"]
    alone = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    return Jobs(f"celery, {processes} processes", messages, senders, [module], [*work, *alone], "celery")


def is_installed(library: str) -> bool:
    """Some contestants come with the extra `benchmarks` only."""
    return importlib.util.find_spec(library) is not None


def _environment(home: Path, sink: FarSide, messages: int, senders: int) -> Mapping[str, str]:
    """All of ours, and what `read.py` looks for."""
    return {
        **os.environ,
        read.POSTS: str(write_posts(home / "posts", messages, senders=senders)),
        read.URL: sink.url,
        **({read.CERTIFICATE: sink.certificate} if sink.certificate is not None else {}),
    }


@contextmanager
def _started(module: Sequence[str], home: Path, environment: Mapping[str, str]) -> Iterator[Leash]:
    """A process that has said that it is ready."""
    said = home / "said"
    with (
        said.open("wb") as output,
        Leash([sys.executable, "-m", *module], output=output, cwd=_ROOT, env=environment) as process,
    ):
        line_of(process, said, "ready")
        yield process


@contextmanager
def _folder() -> Iterator[Path]:
    home = Path(tempfile.mkdtemp(prefix="dispatcher-"))
    try:
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)
