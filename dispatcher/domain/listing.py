"""Pages of what there is much of: some items, and where the next page begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from dispatcher.domain.ids import MessageId
from dispatcher.domain.message import MessageState
from dispatcher.domain.receipt import ReceiptState

Item = TypeVar("Item")
Place = TypeVar("Place")


@dataclass(frozen=True, slots=True)
class Page(Generic[Item, Place]):
    """Some items in their order."""

    items: Sequence[Item]
    """Perhaps fewer than were asked for, though more follow."""
    next: Place | None
    """After which place the next page begins; None: nothing follows."""


@dataclass(frozen=True, slots=True)
class MessageLine:
    """A message in a list: the last attempt, and what was reported of it."""

    id: MessageId
    person: str
    state: MessageState
    reason: str | None
    code: int | None
    detail: str | None
    sender: str | None
    attempt: int
    not_before: datetime | None
    posted_at: datetime | None
    wamid: str | None
    receipt: ReceiptState | None
    delivered_at: datetime | None
    read_at: datetime | None
    receipt_code: int | None
    upload: int | None
    """By which upload the person came."""
    line: int | None
    """The line of it."""


@dataclass(frozen=True, slots=True)
class RejectedLine:
    """A row of an upload that became no message."""

    campaign_line: int
    """Its place among all uploads of the campaign."""
    upload: int | None
    line: int
    column: str
    """Empty when the row as a whole is meant."""
    reason: str
    value: str


@dataclass(frozen=True, slots=True)
class Upload:
    """One import into a campaign."""

    number: int
    lines: int
    """Of the file; a header and empty lines count."""
    people: int
    suppressed: int
    rejected: int
    at: datetime


@dataclass(frozen=True, slots=True)
class PutAsideLine:
    """A piece in quarantine, without its content."""

    id: int
    received_at: datetime
    at: datetime
    reason: str
    detail: str
    retry_at: datetime | None
    bytes: int
