"""People on their way out: written to a temporary file as gzipped NDJSON, then sent from it.

So memory stays constant however many there are, the size is known, and a broken connection is no reason to ask whoever gave
the people to give them again.
"""

from __future__ import annotations

import gzip
import json
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import TracebackType
from typing import IO, Self

Progress = Callable[[int, int], None]
"""Told how many bytes are sent, and of how many."""

PIECE_BYTES = 256 * 1024
IN_MEMORY_BYTES = 4 * 2**20
"""What is smaller never sees the disk."""


class Content:
    """A stream of people. Use it in a `with` block: entering writes the file, leaving forgets it."""

    media_type = "application/x-ndjson"

    def __init__(self, people: Iterable[Mapping[str, object]], progress: Progress | None) -> None:
        self._people = people
        self._progress = progress
        self._file: IO[bytes] | None = None
        self._size_bytes = 0

    def __enter__(self) -> Self:
        self._file = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY_BYTES)
        try:
            with gzip.GzipFile(fileobj=self._file, mode="wb", compresslevel=1, mtime=0) as lines:
                write, dumps = lines.write, json.dumps
                for person in self._people:
                    write(f"{dumps(person)}\n".encode())
            self._size_bytes = self._file.tell()
        except BaseException:
            self._file.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()

    @property
    def size_bytes(self) -> int:
        """What is sent, compressed."""
        return self._size_bytes

    def pieces(self) -> Iterator[bytes]:
        """From the beginning; each try asks anew."""
        assert self._file is not None
        self._file.seek(0)
        sent = 0
        while piece := self._file.read(PIECE_BYTES):
            yield piece
            sent += len(piece)
            if self._progress is not None:
                self._progress(sent, self._size_bytes)
