"""Where PostgreSQL and Redis are: configured, already running for this data folder, or started now.

Without URLs a private pair is used. `dispatch up` starts it and leaves a note in the data folder, so that other
commands find it; a command that finds none starts the pair for as long as it runs.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson

from dispatcher.domain.errors import BadValue
from dispatcher.embedded import Embedded, default_data_dir
from dispatcher.settings import Settings

_NOTE = "servers.json"


def data_dir_of(settings: Settings) -> Path:
    """The folder of the embedded servers."""
    return (settings.data_dir or default_data_dir()).absolute()


@contextmanager
def located(settings: Settings, *, start: bool = True) -> Iterator[Settings]:
    """Settings with both URLs filled in, valid inside the block.

    start: whether servers may be started; without it, and with none running, raises BadValue.
    """
    if settings.database_url and settings.redis_url:
        yield settings
        return
    if bool(settings.database_url) != bool(settings.redis_url):
        raise BadValue(
            "only one of DISPATCHER_DATABASE_URL and DISPATCHER_REDIS_URL is set",
            hint="set both, or neither for embedded servers",
        )
    home = data_dir_of(settings)
    if (running := _running(home)) is not None:
        yield _with(settings, *running)
        return
    if not start:
        raise BadValue(f"no embedded servers run in {home}", hint="`dispatch up` starts them")
    with Embedded(home) as servers:
        note = home / _NOTE
        note.write_bytes(
            orjson.dumps({"pid": os.getpid(), "urls": [servers.database_url, servers.redis_url]})
        )
        try:
            yield _with(settings, servers.database_url, servers.redis_url)
        finally:
            note.unlink(missing_ok=True)


def is_running(settings: Settings) -> bool:
    """Whether `located` would start nothing: servers are configured, or run already for this data folder."""
    return bool(settings.database_url or settings.redis_url) or _running(data_dir_of(settings)) is not None


def _running(home: Path) -> tuple[str, str] | None:
    """The URLs in the note, if the process that wrote it still lives."""
    try:
        note = orjson.loads((home / _NOTE).read_bytes())
        os.kill(note["pid"], 0)
    except (OSError, orjson.JSONDecodeError, KeyError):
        return None
    database_url, redis_url = note["urls"]
    return database_url, redis_url


def _with(settings: Settings, database_url: str, redis_url: str) -> Settings:
    return settings.model_copy(update={"database_url": database_url, "redis_url": redis_url})
