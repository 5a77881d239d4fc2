"""The suppression list: people who get nothing from us, whatever campaign they are in."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import Field

from dispatcher.api.guard import PREFIX, Caller, Guarded, House, needs
from dispatcher.api.schemas import Cursor, Limit, Line, Model, example
from dispatcher.api.v1.message_models import Number
from dispatcher.api.v1.reply_models import Person
from dispatcher.domain.access import Scope
from dispatcher.domain.errors import BadValue
from dispatcher.domain.ids import PersonKey, is_user_id
from dispatcher.domain.opting import HistoryEntry, SuppressionChange
from dispatcher.domain.phone import BadPhone, Phone, parse_phone
from dispatcher.domain.report import Suppressed

router = APIRouter(prefix=f"{PREFIX}/suppressions", tags=["suppressions"], route_class=Guarded)

People = Annotated[
    list[Number],
    Field(min_length=1, max_length=1_000, description="Phone numbers, best with + and country code."),
]


class SuppressionIn(Model):
    """Who is to get nothing."""

    model_config = example(people=["+4915123456789"], reason="asked_not_to")

    people: People
    reason: Annotated[Line, Field(description="Shown wherever the person is left out.")] = "asked_not_to"


class SuppressionEnd(Model):
    """Who may get something again."""

    model_config = example(people=["+4915123456789"])

    people: People


class ChangedOut(Model):
    """What came of it."""

    model_config = example(given=1, changed=1)

    given: int
    changed: Annotated[int, Field(description="Those who were not, or were, on the list before.")]


class SuppressedOut(Model):
    """A person on the list."""

    person: str
    reason: str
    source: str
    at: datetime
    until: Annotated[datetime | None, Field(description="null: until somebody takes the person off.")]

    @classmethod
    def of(cls, person: Suppressed) -> SuppressedOut:
        """As the house has it."""
        return cls.model_validate(person, from_attributes=True)


class SuppressedPage(Model):
    """People on the list, by number."""

    model_config = example(
        items=[
            {
                "person": "+4915123456789",
                "reason": "asked_not_to",
                "source": "key a1b2c3d4e5f6",
                "at": "2026-09-30T08:00:00Z",
                "until": None,
            }
        ],
        next=None,
    )

    items: list[SuppressedOut]
    next: str | None


class HistoryOut(Model):
    """Something that happened to a person on the list."""

    at: Annotated[datetime, Field(description="When it was said.")]
    change: SuppressionChange
    reason: str
    source: str
    recorded_at: Annotated[datetime, Field(description="When we heard of it.")]

    @classmethod
    def of(cls, entry: HistoryEntry) -> HistoryOut:
        """As the house has it."""
        return cls.model_validate(entry, from_attributes=True)


class HistoryList(Model):
    """All that happened to a person on the list."""

    model_config = example(
        items=[
            {
                "at": "2026-09-30T08:00:00Z",
                "change": "opted_out",
                "reason": "opted_out",
                "source": "harbour: stop",
                "recorded_at": "2026-09-30T08:00:01Z",
            }
        ]
    )

    items: list[HistoryOut]


@router.get("", **needs(Scope.READ))
async def list_suppressions(house: House, cursor: Cursor = None, limit: Limit = 100) -> SuppressedPage:
    """Everybody on the list, by number."""
    page = await house.listings.suppressions(PersonKey(cursor or ""), limit)
    return SuppressedPage(items=[SuppressedOut.of(person) for person in page.items], next=page.next)


@router.get("/{person}/history", **needs(Scope.READ))
async def show_history(
    person: Annotated[
        Person,
        Path(description="A phone number, or a user id.", examples=["+4915123456789"]),
    ],
    house: House,
) -> HistoryList:
    """When and how a person opted out or in, or was put on the list or taken off it; the oldest first."""
    key = person if is_user_id(person) else _phones([person], house.settings.default_region)[0].key
    entries = await house.senders.suppression_history(key)
    return HistoryList(items=[HistoryOut.of(entry) for entry in entries])


@router.post("", **needs(Scope.SUPPRESSIONS_WRITE))
async def suppress(body: SuppressionIn, house: House, caller: Caller) -> ChangedOut:
    """Put people on the list: all, or none where one is no number. It binds at once, also in campaigns that run."""
    phones = _phones(body.people, house.settings.default_region)
    people = [(PersonKey(phone.key), phone.e164) for phone in phones]
    new = await house.senders.suppress(people, body.reason, f"key {caller.prefix}")
    return ChangedOut(given=len(people), changed=new)


@router.post("/remove", **needs(Scope.SUPPRESSIONS_WRITE))
async def unsuppress(body: SuppressionEnd, house: House, caller: Caller) -> ChangedOut:
    """Take people off the list; messages that were left out because of it stay so."""
    phones = _phones(body.people, house.settings.default_region)
    keys = [PersonKey(phone.key) for phone in phones]
    removed = await house.senders.unsuppress(keys, f"key {caller.prefix}")
    return ChangedOut(given=len(phones), changed=removed)


def _phones(numbers: Sequence[str], region: str | None) -> list[Phone]:
    read = [(number, parse_phone(number, region)) for number in numbers]
    problems = [f"{number!r}: {phone.text}" for number, phone in read if isinstance(phone, BadPhone)]
    if problems:
        raise BadValue("these are no phone numbers; nothing was changed", problems=problems)
    return [phone for _, phone in read if isinstance(phone, Phone)]
