"""People on their way in: a stream is written to a file as it comes, and read only once it is whole.

So memory stays constant whatever its size, a slow caller holds neither a connection to the ledger nor a lock, a stream that
breaks off leaves nothing, and a repetition is recognised by what it says.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import Request

from dispatcher.api.guard import too_large
from dispatcher.api.problems import Refusal
from dispatcher.domain.audience import Audience, RejectReason, Row, Unreadable
from dispatcher.domain.errors import BadValue
from dispatcher.engine.audience import fields_of
from dispatcher.settings import Settings

AT_ONCE = 4
"""Streams that one process takes at a time: each holds a connection to the ledger while it is imported."""
SILENT_AT_MOST_S = 60.0
"""A stream of which nothing comes for so long is given up."""
WITHIN_S = 3_600.0
"""And one that takes longer than this, however it comes: it keeps one of few places."""
WRITE_BYTES = 2**20
"""What is gathered before it is written."""
SUFFIXES = {"text/csv": ".csv", "application/x-ndjson": ".ndjson", "application/ndjson": ".ndjson"}


@dataclass(frozen=True, slots=True)
class Upload:
    """A stream that has come to its end."""

    path: Path
    digest: bytes
    """SHA-256 of what came."""


class Uploads:
    """Takes streams, some at a time."""

    def __init__(self, settings: Settings) -> None:
        self._most_bytes = settings.upload_most_mb * 2**20
        self._folder = settings.upload_dir
        self._free = AT_ONCE

    @asynccontextmanager
    async def taken(self, request: Request) -> AsyncIterator[Upload]:
        """The whole stream as a file, which is gone at the end of the block. Raises Refusal, BadValue."""
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        suffix = SUFFIXES.get(media_type)
        if suffix is None:
            raise Refusal(
                415,
                "unsupported_media_type",
                "This is not a stream of people",
                f"the Content-Type must be one of {', '.join(SUFFIXES)}; nothing was done",
            )
        if int(request.headers.get("content-length", "0")) > self._most_bytes:
            raise too_large(self._most_bytes)
        if not self._free:
            raise Refusal(
                503,
                "busy",
                "Too many streams at once",
                f"{AT_ONCE} streams are being taken already; nothing was done",
                headers={"Retry-After": "5"},
            )
        self._free -= 1
        folder: Path | None = None
        try:
            with _room():
                folder = Path(tempfile.mkdtemp(prefix="dispatcher-upload-", dir=self._folder))
                path = folder / f"people{suffix}"
                digest = await self._written(request, path)
            yield Upload(path, digest)
        finally:
            self._free += 1
            if folder is not None:
                await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def _written(self, request: Request, path: Path) -> bytes:
        """Write the stream as it comes. Returns its digest. Raises Refusal where it is too large or too slow."""
        try:
            async with asyncio.timeout(WITHIN_S):
                return await self._write(request, path)
        except TimeoutError:
            raise Refusal(
                408,
                "too_slow",
                "The stream came too slowly",
                f"nothing came for {SILENT_AT_MOST_S:g} s, or it took more than {WITHIN_S:g} s; nothing was done",
                headers={"Connection": "close"},
            ) from None

    async def _write(self, request: Request, path: Path) -> bytes:
        digest = hashlib.sha256()
        size_bytes = 0
        with path.open("wb", buffering=WRITE_BYTES) as file:
            stream = aiter(request.stream())
            while True:
                async with asyncio.timeout(SILENT_AT_MOST_S):
                    piece = await anext(stream, None)
                if piece is None:
                    return digest.digest()
                size_bytes += len(piece)
                if size_bytes > self._most_bytes:
                    raise too_large(self._most_bytes)
                digest.update(piece)
                file.write(piece)


@contextmanager
def _room() -> Iterator[None]:
    """Say that there is no room, for whatever the operating system says of the file."""
    try:
        yield
    except OSError as error:
        raise Refusal(
            503,
            "no_room",
            "There is no room for the stream",
            f"it cannot be kept until it is whole ({error.strerror}); nothing was done",
            hint="upload_dir says where streams wait",
            headers={"Retry-After": "60"},
        ) from error


class Bounded:
    """The port `Audience`, with no more rows than are taken, and however much a compressed stream would unfold to."""

    def __init__(self, audience: Audience, rows_most: int) -> None:
        self._audience = audience
        self._rows_most = rows_most
        self.columns = audience.columns
        self.size_bytes = audience.size_bytes

    @property
    def position_bytes(self) -> int:
        """As the audience has it."""
        return self._audience.position_bytes

    def chunks(self) -> Iterator[Sequence[Row]]:
        """As the audience has them. Raises BadValue beyond the limit."""
        rows = 0
        for chunk in self._audience.chunks():
            rows += len(chunk)
            if rows > self._rows_most:
                raise BadValue(
                    f"the stream has more than {self._rows_most:,} rows. Nothing was imported",
                    hint="send it in parts",
                )
            yield chunk


class PagedPeople:
    """The port `Audience` on the people of a JSON body; the first of them is line 1."""

    size_bytes = 0
    position_bytes = 0

    def __init__(self, people: Sequence[object], columns: Sequence[str], *, has_escapes: bool) -> None:
        """columns: those that are read of each person, the phone number's among them."""
        self.columns = columns
        self._people = people
        self._has_escapes = has_escapes

    @classmethod
    def of_body(cls, body: bytes, columns: Sequence[str]) -> PagedPeople:
        """As a stream would have read them: a number is the text that stands there."""
        read: dict[str, Any] = json.loads(body, parse_int=str, parse_float=str, parse_constant=str)
        return cls(read["people"], columns, has_escapes=b"\\u" in body)

    def chunks(self) -> Iterator[Sequence[Row]]:
        """All in one."""
        yield [(line, self._fields(person)) for line, person in enumerate(self._people, 1)]

    def _fields(self, person: object) -> Sequence[str] | Unreadable:
        if not isinstance(person, dict):
            return Unreadable("", RejectReason.NOT_AN_OBJECT, repr(person).encode(errors="replace").decode())
        return fields_of(person, self.columns, has_escapes=self._has_escapes)
