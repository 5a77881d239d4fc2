"""Senders, people and campaigns, in as few words as a test needs."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dispatcher.domain.audience import Row
from dispatcher.domain.campaign import Campaign, CampaignState, UnsurePolicy
from dispatcher.domain.content import Column, SlotMapping
from dispatcher.domain.ids import CampaignId, SenderId
from dispatcher.domain.rate import Rate
from dispatcher.domain.reach import LimitScope, Tier
from dispatcher.domain.sender import Lifecycle, Quality, Sender, SenderStatus

COLUMNS = ("phone", "first_name", "discount")
MAPPING = SlotMapping((("body.1", Column("first_name")), ("body.2", Column("discount"))))
NOON = datetime(2026, 9, 1, 12, tzinfo=UTC)
TOKEN_VARIABLE = "SANDBOX_TOKEN"
_numbers = itertools.count(1)


def a_phone(n: int) -> str:
    """The n-th person's number, in E.164."""
    return f"+4915{110_000_000 + n}"


def a_sender(name: str = "harbour", **fields: Any) -> Sender:
    """A healthy sender that nothing slows down, except in what is said otherwise; not stored yet."""
    n = next(_numbers)
    values: dict[str, Any] = {
        "id": SenderId(0),
        "phone_number_id": f"9{n:014d}",
        "phone": f"+4930{n:08d}",
        "waba_id": "100000000000001",
        "portfolio_id": None,
        "status": SenderStatus.CONNECTED,
        "lifecycle": Lifecycle.ONLINE,
        "quality": Quality.HIGH,
        "tier": Tier.parse("unlimited"),
        "limit_scope": LimitScope.SENDER,
        "rate": Rate.parse("1000/s"),
        "enabled": True,
        "token_ref": f"env:{TOKEN_VARIABLE}",
        "origin": "platform",
    }
    return Sender(name=name, **{**values, **fields})


def an_order(state: CampaignState = CampaignState.RUNNING, deadline: datetime | None = None) -> Campaign:
    """A campaign as its owner ordered it, without a ledger."""
    return Campaign(
        id=CampaignId(1),
        name="autumn",
        state=state,
        template="autumn",
        language="en_US",
        senders=[SenderId(1)],
        mapping=MAPPING,
        columns=MAPPING.columns,
        weight=1,
        priority=0,
        deadline=deadline,
        unsure_policy=UnsurePolicy.GIVE_UP,
        created_at=NOON,
        started_at=NOON,
        finished_at=None,
    )


@dataclass(slots=True)
class Crowd:
    """An audience without a file: `people` persons, the first of them `a_phone(first)`."""

    people: int
    first: int = 0
    columns: Sequence[str] = COLUMNS
    size_bytes: int = 0
    position_bytes: int = 0

    def chunks(self) -> Iterator[Sequence[Row]]:
        """All in one."""
        yield [
            (line, (a_phone(self.first + line), f"Name {line}", f"{line % 50} %"))
            for line in range(self.people)
        ]


def write_audience(path: Path, rows: Sequence[Sequence[str]]) -> Path:
    """A CSV file with the usual columns."""
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *rows])
    return path
