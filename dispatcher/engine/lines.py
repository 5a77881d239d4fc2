"""A text file as lines, whatever its encoding and compression.

Finds out about gzip and byte order marks, decodes block by block, and splits at line ends. What a line means is left to
`audience.py`.
Invariants: never more than a block and a line in memory; nothing is guessed or replaced: a byte sequence that is not
text is a BadValue with its place.
"""

from __future__ import annotations

import codecs
import gzip
import io
import stat
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from dispatcher.domain.errors import BadValue

BLOCK_BYTES = 256 * 1024
LINE_MAX_CHARS = 1_000_000
"""A longer line is no line of an audience, and would have to be held in memory."""

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_MARK_MAX_BYTES = 4
_GZIP = b"\x1f\x8b"
_ZIP = b"PK\x03\x04"


class Lines:
    """The lines of one file with their line ends, to be read once."""

    def __init__(self, path: Path, encoding: str | None) -> None:
        """Raises BadValue for a file that cannot be opened, and for an unknown encoding.

        encoding: how a file without byte order mark is encoded, as Python names it; None means UTF-8.
        """
        self.name = path.name
        self.position_bytes = 0
        """How much of the file as it is stored has been read."""
        self.decoded_bytes = 0
        """How much has been turned into text; differs from `position_bytes` for compressed files."""
        self._complete = 0
        self._rest = ""
        announced = _text_encoding(encoding or "utf-8")
        self.size_bytes, self._file = _opened(path)
        try:
            self._content = self._uncompressed()
            start = self._read(_MARK_MAX_BYTES)
        except BaseException:
            self._file.close()
            raise
        mark, self.encoding = next((m for m in _MARKS if start.startswith(m[0])), (b"", announced))
        self._start = start[len(mark) :]
        self.decoded_bytes = len(mark)

    def close(self) -> None:
        """Idempotent."""
        self._file.close()

    def __iter__(self) -> Iterator[str]:
        for text in self._texts():
            lines = _split(self._rest + text)
            # A line that ends in \r may go on with \n in the next block.
            self._rest = lines.pop() if lines and not lines[-1].endswith("\n") else ""
            if len(self._rest) > LINE_MAX_CHARS:
                raise BadValue(
                    f"{self.name}: line {self._complete + len(lines) + 1} is longer than {LINE_MAX_CHARS:,} characters. "
                    "Nothing was imported",
                    hint="is this a text file with one row per line?",
                )
            yield from lines
            self._complete += len(lines)
        if self._rest:
            yield self._rest

    def _texts(self) -> Iterator[str]:
        decoder = codecs.getincrementaldecoder(self.encoding)()
        block = self._start
        is_last = False
        while not is_last:
            block = block or self._read(BLOCK_BYTES)
            is_last = not block
            try:
                text = decoder.decode(block, final=is_last)
            except UnicodeDecodeError as error:
                raise self._broken(error, len(block)) from None
            if "\0" in text:
                raise BadValue(
                    f"{self.name}: line {self._line_after(text[: text.index(chr(0))])} holds a NUL character, "
                    "which no text has. Nothing was imported",
                    hint="is this UTF-16 without a byte order mark? Then announce the encoding utf-16-le or utf-16-be",
                )
            self.decoded_bytes += len(block)
            block = b""
            yield text

    def _broken(self, error: UnicodeDecodeError, block_bytes: int) -> BadValue:
        # The decoder had kept the first bytes of error.object from the block before.
        place = self.decoded_bytes + block_bytes - len(error.object) + error.start
        before = error.object[: error.start].decode(self.encoding, errors="replace")
        bad = error.object[error.start : error.end].hex(" ")
        return BadValue(
            f"{self.name}: line {self._line_after(before)}, byte {place:,}: {bad} is not {self.encoding} "
            f"({error.reason}). Nothing was imported",
            hint="save the file as UTF-8, or announce its encoding, for instance cp1252 or latin-1",
        )

    def _line_after(self, text: str) -> int:
        """The line of the character that follows `text` in the present block."""
        return self._complete + len(_split(self._rest + text + "?"))

    def _uncompressed(self) -> BinaryIO:
        magic = self._file.read(len(_ZIP))
        self._file.seek(0)
        if magic == _ZIP:
            raise BadValue(
                f"{self.name} is a ZIP archive or a spreadsheet, not a text file. Nothing was imported",
                hint="export the sheet as CSV (UTF-8), or unpack the archive",
            )
        if not magic.startswith(_GZIP):
            return self._file
        return cast("BinaryIO", gzip.GzipFile(fileobj=self._file, mode="rb"))

    def _read(self, size: int) -> bytes:
        try:
            block = self._content.read(size)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise BadValue(
                f"{self.name}: the compressed file is damaged or cut off ({error}). Nothing was imported",
                hint="`gzip --test` checks it; fetch or compress it again",
            ) from error
        except OSError as error:
            raise BadValue(
                f"{self.name} cannot be read: {error.strerror or error}. Nothing was imported"
            ) from error
        self.position_bytes = self._file.tell()
        return block


def _split(text: str) -> list[str]:
    # why not str.splitlines: it also splits at characters that are ordinary inside a field, such as U+2028.
    return io.StringIO(text, newline="").readlines()


def _text_encoding(name: str) -> str:
    try:
        bytes(4).decode(
            name
        )  # why: four zero bytes are text in all encodings, and refused by codecs that are none
        return codecs.lookup(name).name
    except (LookupError, ValueError):
        raise BadValue(
            f"{name!r} is no text encoding. Nothing was imported",
            hint="for instance utf-8, utf-16, cp1252, latin-1",
        ) from None


def _opened(path: Path) -> tuple[int, BinaryIO]:
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            kind = "a directory" if stat.S_ISDIR(found.st_mode) else "no ordinary file"
            raise BadValue(f"{path} is {kind}. Nothing was imported", hint="name a CSV or NDJSON file")
        return found.st_size, path.open("rb")
    except FileNotFoundError:
        raise BadValue(
            f"there is no file {path}. Nothing was imported", hint="is the path right, seen from here?"
        ) from None
    except OSError as error:
        raise BadValue(
            f"{path} cannot be opened: {error.strerror or error}. Nothing was imported",
            hint="may this user read it?",
        ) from error
