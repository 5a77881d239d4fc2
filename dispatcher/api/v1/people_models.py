"""People of a campaign as the API takes and shows them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import Field, JsonValue

from dispatcher.api.schemas import Model, example
from dispatcher.domain.listing import RejectedLine, Upload
from dispatcher.ledger.audience import ImportReport

PEOPLE_MOST = 10_000
"""Of one page; more come as a stream."""


class PeopleIn(Model):
    """A page of people."""

    model_config = example(
        people=[
            {"phone": "+4915123456789", "first_name": "Ann"},
            {"phone": "+447700900102", "first_name": "Bob"},
        ]
    )

    people: Annotated[
        list[JsonValue],
        Field(
            min_length=1,
            max_length=PEOPLE_MOST,
            description="One object for each person: the number, and a text for each column of the campaign. What is not "
            "usable becomes a rejected row, with its place in the list as its line.",
        ),
    ]


class UploadOut(Model):
    """What came of a page or a stream of people: rows = people + rejected."""

    model_config = example(
        upload=1, rows=1000, people=990, suppressed=5, rejected={"duplicate": 7, "too_short": 3}
    )

    upload: Annotated[int, Field(description="Its number among the uploads of the campaign.")]
    rows: int
    people: Annotated[int, Field(description="The suppressed ones among them.")]
    suppressed: int
    rejected: Annotated[dict[str, int], Field(description="Rows that became no message, by reason.")]

    @classmethod
    def of(cls, report: ImportReport) -> UploadOut:
        """As the house has it."""
        return cls(
            upload=report.upload,
            rows=report.rows,
            people=report.audience,
            suppressed=report.suppressed,
            rejected={str(reason): rows for reason, rows in report.rejected.items()},
        )


class UploadLine(Model):
    """An upload in the list of them."""

    number: int
    lines: Annotated[int, Field(description="A header and empty lines count.")]
    people: int
    suppressed: int
    rejected: int
    at: datetime

    @classmethod
    def of(cls, upload: Upload) -> UploadLine:
        """As the house has it."""
        return cls.model_validate(upload, from_attributes=True)


class UploadList(Model):
    """All uploads of a campaign, in order."""

    model_config = example(
        items=[
            {
                "number": 1,
                "lines": 1001,
                "people": 990,
                "suppressed": 5,
                "rejected": 10,
                "at": "2026-09-30T08:05:00Z",
            }
        ]
    )

    items: list[UploadLine]


_REJECTED: dict[str, Any] = {
    "upload": 1,
    "line": 17,
    "column": "phone",
    "reason": "too_short",
    "value": "+4915",
}


class RejectedOut(Model):
    """A row that became no message."""

    upload: int | None
    line: Annotated[int, Field(description="Of the file, or the place in the page, from 1.")]
    column: Annotated[str, Field(description="Empty when the row as a whole is meant.")]
    reason: str
    value: str

    @classmethod
    def of(cls, row: RejectedLine) -> RejectedOut:
        """As the house has it."""
        return cls(upload=row.upload, line=row.line, column=row.column, reason=row.reason, value=row.value)


class RejectedPage(Model):
    """Rejected rows in the order of the uploads."""

    model_config = example(items=[_REJECTED], next=None)

    items: list[RejectedOut]
    next: str | None
