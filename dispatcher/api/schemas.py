"""What the models of the API share: texts, numbers and times as JSON has them, and how a model tells its example.

Requests are strict: a number is not a text, a time is a text with its distance from UTC, and a name that is not known is an
error. So what is accepted is exactly what the OpenAPI document says.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import Header, Path, Query
from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, Strict, StringConstraints

from dispatcher.domain.errors import BadValue
from dispatcher.domain.hold import LIFTED_BY, Hold

LARGEST = 2**53 - 1
"""Of an id: what every reader of JSON takes for the same number. The ledger counts from 1 and will not come so far."""
LAST_YEAR = 2999
_PRINTABLE = r"^[^\x00-\x1f\x7f]*$"

Name = Annotated[
    str,
    # why no \s: which characters are blank is not the same to everybody who reads the document.
    StringConstraints(
        min_length=1,
        max_length=100,
        pattern=r"^[^\x00-\x20\x7f/]([^\x00-\x1f\x7f/]*[^\x00-\x20\x7f/])?$",
    ),
]
"""What people call a sender or a key."""
Line = Annotated[str, StringConstraints(min_length=1, max_length=512, pattern=_PRINTABLE)]
"""One line of text."""
Value = Annotated[str, StringConstraints(max_length=4096, pattern=r"^[^\x00]*$")]
"""A text that goes into a template; the template's rules come on top."""
MetaId = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,30}$")]
"""An id of Meta."""


def _as_whole(value: object) -> object:
    # why: to JSON, 12.0 is the number 12.
    return int(value) if isinstance(value, float) and value.is_integer() else value


WHOLE = BeforeValidator(_as_whole)
"""The last part of a strict number's annotation; after it, bounds would be missing in the OpenAPI document."""
Flag = Annotated[bool, Strict()]


def _as_text(value: object) -> object:
    if isinstance(value, datetime | str):
        return value
    raise ValueError("a time is a text, such as 2026-10-01T18:00:00+02:00")


Moment = Annotated[AwareDatetime, BeforeValidator(_as_text)]
"""A time with its distance from UTC."""

CampaignPath = Annotated[int, Path(ge=1, le=LARGEST, description="The campaign's number.", examples=[12])]
SinglePath = Annotated[int, Path(ge=1, le=LARGEST, description="The single message's number.", examples=[13])]
MessagePath = Annotated[int, Path(ge=1, le=LARGEST, description="The message's number.", examples=[345])]
ReplyPath = Annotated[int, Path(ge=1, le=LARGEST, description="The reply's number.", examples=[3])]
ConversationPath = Annotated[
    int, Path(ge=1, le=LARGEST, description="The conversation's number.", examples=[2])
]
SenderPath = Annotated[Name, Path(description="What the sender is called.", examples=["harbour"])]
Limit = Annotated[int, Query(ge=1, le=1_000, description="How many, at most.", examples=[100])]
Cursor = Annotated[
    str | None,
    Query(
        pattern=r"^[\x21-\x7e]{1,200}$",
        description="`next` of the page before; without it, the first page.",
        examples=["345"],
    ),
]
IdempotencyKey = Annotated[
    str,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=200,
        pattern=r"^[\x21-\x7e]+$",
        description="A name for this call, of your choice. A repetition under the same name changes nothing and gets the same "
        "answer, for at least 24 hours.",
        examples=["autumn-2026-create"],
    ),
]
IfMatch = Annotated[
    str,
    Header(
        alias="If-Match",
        min_length=1,
        max_length=200,
        pattern=r'^(\*|"[\x21\x23-\x7e]*")$',
        description="The ETag of what you saw, or `*` to change whatever is there.",
        examples=["*"],
    ),
]


NO_OTHERS: dict[str, Any] = {"additionalProperties": False}
"""For the schema of a dictionary whose names have a form: pydantic refuses other names, and does not say so."""


class Model(BaseModel):
    """What all models have in common."""

    model_config = ConfigDict(extra="forbid")


def example(**values: Any) -> ConfigDict:
    """The configuration of a model with its example."""
    return ConfigDict(extra="forbid", json_schema_extra={"examples": [values]})


class HoldOut(Model):
    """A wait with its cause."""

    reason: str
    detail: str
    until: datetime | None
    ends_by: Annotated[str, Field(description="What ends it, in words.")]

    @classmethod
    def of(cls, hold: Hold) -> HoldOut:
        """As the house has it."""
        return cls(reason=hold.reason, detail=hold.detail, until=hold.until, ends_by=LIFTED_BY[hold.reason])


HOLD: Mapping[str, Any] = {
    "reason": "tier_exhausted",
    "detail": "",
    "until": "2026-10-02T08:00:00Z",
    "ends_by": "time: each token comes back 24 hours after it was taken; or a higher tier",
}


def checked_deadline(deadline: datetime | None) -> datetime | None:
    """A deadline that every part of the house can hold. Raises BadValue."""
    if deadline is not None and deadline.year > LAST_YEAR:
        raise BadValue(f"a deadline after the year {LAST_YEAR} is none")
    return deadline


def number_of(cursor: str | None) -> int | None:
    """A cursor that is a number. Raises BadValue."""
    if cursor is None:
        return None
    if not cursor.isdecimal() or int(cursor) > LARGEST:
        raise BadValue("this is not where a page of this list ended", hint="take `next` as it was given")
    return int(cursor)


Format = Literal["csv", "ndjson"]
