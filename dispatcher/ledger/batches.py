"""Makes the rows of an audience ready for the wire, chunk by chunk, in a thread.

Parts the people who are certainly new, which is nearly everybody, from the doubtful few, about whom the ledger's
`members` decide. The bitmap that tells them apart only ever errs towards doubt.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from dispatcher.domain.audience import Audience, Person, Rejected, Sieve
from dispatcher.domain.ids import CampaignId
from dispatcher.ledger.copying import array, escaped

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Batch:
    """A chunk, judged, and made ready for the wire by the reading thread. Lines are the campaign's."""

    new: bytes
    """Lines of COPY: people who are in no earlier line."""
    doubtful: Sequence[Person]
    """People who may be."""
    rejected: Sequence[Rejected]
    last_line: int


async def ahead(items: Iterator[_T]) -> AsyncGenerator[_T, None]:
    """The items of a blocking iterator, each made in a thread while the one before is used."""
    loop = asyncio.get_running_loop()
    coming = loop.run_in_executor(None, next, items, None)
    try:
        while (item := await asyncio.shield(coming)) is not None:
            coming = loop.run_in_executor(None, next, items, None)
            yield item
    finally:
        # why: whoever is left early closes the file next, and the thread may still be reading.
        await asyncio.gather(coming, return_exceptions=True)


def batches(
    audience: Audience, sieve: Sieve, campaign_id: CampaignId, *, lines_before: int, is_filled: bool
) -> Iterator[Batch]:
    """All chunks of an audience.

    lines_before: what is added to each line. is_filled: the campaign has people already, so that everybody is doubtful.
    """
    seen = _Seen()
    for rows in audience.chunks():
        people, rejected = sieve.sift(rows)
        if lines_before:
            people = [person._replace(line=person.line + lines_before) for person in people]
            rejected = [row._replace(line=row.line + lines_before) for row in rejected]
        last_line = lines_before + rows[-1][0]
        if is_filled:
            yield Batch(b"", people, rejected, last_line)
            continue
        new: list[str] = []
        doubtful = []
        for person in people:
            if seen.has(person.key):
                doubtful.append(person)
            else:
                line, e164, key, values = person
                new.append(f"{campaign_id}\t{line}\t{e164}\t{key}\t{escaped(array(values))}\n")
        yield Batch("".join(new).encode(), doubtful, rejected, last_line)


class _Seen:
    """Whether a key came before: False is certain, True is a matter of doubt (one in 135 after a million keys)."""

    _BITS = 2**27

    def __init__(self) -> None:
        self._bytes = bytearray(self._BITS // 8)

    def has(self, key: str) -> bool:
        """Asks, and remembers the key."""
        place, bit = divmod(hash(key) % self._BITS, 8)
        byte = self._bytes[place]
        self._bytes[place] = byte | 1 << bit
        return bool(byte >> bit & 1)
