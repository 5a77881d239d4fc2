"""What the benchmarks of the API share: durable servers, an HTTP process, a sender with its template, a key."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks.stage import add_senders, people_from
from dispatcher.app import open_app
from dispatcher.client import campaigns
from dispatcher.client.calls import Call
from dispatcher.domain.access import Scope
from dispatcher.domain.rate import Rate
from dispatcher.leash import Leash
from dispatcher.processes import start_api
from dispatcher.rehearsal import Rehearsal, rehearsal

MAPPING = {"body.1": {"column": "first_name"}, "body.2": {"column": "discount"}}


@dataclass(frozen=True, slots=True)
class FrontDoor:
    """An API on real servers."""

    stage: Rehearsal
    url: str
    key: str
    process: Leash

    @property
    def database_url(self) -> str:
        """Of the ledger."""
        assert self.stage.settings.database_url is not None
        return self.stage.settings.database_url

    def memory_mb(self) -> float:
        """Resident memory of the HTTP process."""
        return psutil.Process(self.process.pid).memory_info().rss / 1e6


@contextmanager
def front_door(*, rate: str = "1000/s", lanes: int = 1) -> Iterator[FrontDoor]:
    """Open one. rate: of the only sender, which has no tier."""
    with rehearsal(None, lanes=lanes) as stage:
        key = asyncio.run(_furnished(stage, rate))
        process, url = start_api(stage.settings)
        with process:
            yield FrontDoor(stage, url, key, process)


async def _furnished(stage: Rehearsal, rate: str) -> str:
    async with open_app(stage.settings) as app:
        await add_senders(app, stage, 1, rate=rate, tier="unlimited")
        _, key = await app.access.create("benchmark", set(Scope), rate=Rate.parse("100000/s"))
        return key


def an_order(once: str | None = None) -> Call[Any]:
    """A draft for `people`."""
    return campaigns.order(
        "benchmark", template="offer", language="en_US", senders=["sender-0"], mapping=MAPPING, once=once
    )


def people(count: int, first: int = 0) -> Iterator[dict[str, str]]:
    """From an iterator, none of them kept."""
    for phone, first_name, discount in people_from(first, count):
        yield {"phone": phone, "first_name": first_name, "discount": discount}


def write_ndjson(path: Path, count: int) -> Path:
    """The same as a file."""
    with path.open("w") as file:
        for phone, first_name, discount in people_from(0, count):
            file.write(
                f'{{"phone": "{phone}", "first_name": "{first_name}", "discount": "{discount}", "city": "Berlin"}}\n'
            )
    return path
