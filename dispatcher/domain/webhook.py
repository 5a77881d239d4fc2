"""What a webhook of Meta tells, in the house's words.

One body may carry up to a thousand updates of several accounts; each becomes one of the news below, in the order of the
body. Nothing is left out: what cannot be read is news too, with the reason and the piece itself. How bodies are read is
the channel's part, what is done about news the engine's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from dispatcher.domain.ids import Token
from dispatcher.domain.receipt import Receipt


class UnreadableReason(StrEnum):
    """Why a body, or a piece of one, says nothing we can use; each member's docstring is the text that people are shown."""

    NOT_JSON = "not_json"
    """The body is not JSON."""
    NOT_A_WEBHOOK = "not_a_webhook"
    """It is JSON, but not the envelope in which Meta reports about WhatsApp accounts."""
    NOT_AN_OBJECT = "not_an_object"
    """Something else stands where an object with members is expected."""
    NOT_A_LIST = "not_a_list"
    """Something else stands where a list is expected, or the list is empty where updates are expected."""
    NO_ACCOUNT = "no_account"
    """News of an account, and no usable id of the account."""
    NO_FIELD = "no_field"
    """A change that does not name its field."""
    NO_WAMID = "no_wamid"
    """A status or a message without a usable id."""
    NO_STATUS = "no_status"
    """A status that does not say what happened."""
    NO_SENDER = "no_sender"
    """A message, and no usable id of the number it was written to."""
    NO_PERSON = "no_person"
    """A message, and neither a number nor a user id of its writer."""
    BAD_TIME = "bad_time"
    """A status or a message without a time, or with one that cannot be."""
    TOO_DEEP = "too_deep"
    """Nested so deeply that it cannot be stored."""


@dataclass(frozen=True, slots=True)
class Report:
    """A status: what became of one attempt."""

    wamid: str
    """Meta's id of the attempt."""
    token: Token | None
    """As it came back, of whichever instance; None where Meta left it out, or where it is no token of the house."""
    receipt: Receipt
    phone_number_id: str | None
    """Of the sender."""
    recipient: str | None
    """The person's number in digits; None where only a user id is known."""
    recipient_user_id: str | None
    fragment: bytes
    """The smallest webhook body that says the same, for quarantine and replay."""


@dataclass(frozen=True, slots=True)
class Inbound:
    """A message from a person, of any kind, also of kinds that nobody knows yet."""

    wamid: str
    phone_number_id: str
    """Of the sender it was written to."""
    person: str | None
    """The writer's number in digits; None where only a user id is known."""
    user_id: str | None
    """The writer's business-scoped user id, where Meta gives one."""
    name: str | None
    """The writer's profile name."""
    at: datetime
    kind: str
    """Meta's `type`, such as "text", "button", "image", "system", "unsupported"; "unknown" where there is none."""
    context_wamid: str | None
    """The message it answers, or reacts to."""
    content: Mapping[str, Any]
    """The message as Meta wrote it, made safe to store: no NUL, no lone surrogate."""
    fragment: bytes
    parent_user_id: str | None = None
    """The writer's id with all businesses of one parent."""
    words: str | None = None
    """What the writer wrote or pressed, as they saw it."""
    payload: str | None = None
    """What the business had put behind the button that was pressed."""
    moved_to: str | None = None
    """The writer's new number in digits; `person` is the former one then."""
    shared_number: str | None = None
    """The writer's own number in digits, given on request."""
    came_by_entry_point: bool = False
    """Whether the writer came by an ad or a Page's button."""
    is_in_group: bool = False
    takes_back: bool = False
    """Whether it is a reaction that was removed."""


@dataclass(frozen=True, slots=True)
class Preference:
    """A person told Meta whether they want marketing of this business."""

    person: str | None
    """In digits; None where only a user id is known."""
    user_id: str | None
    parent_user_id: str | None
    wants_messages: bool


@dataclass(frozen=True, slots=True)
class UserIdChange:
    """A person's user ids changed."""

    person: str | None
    """In digits; None where the number is hidden."""
    user_ids: tuple[str, ...]
    """Present and former ones, of the business and of its parent; all of one person."""


@dataclass(frozen=True, slots=True)
class Call:
    """A person called a sender, whether or not anybody answered."""

    phone_number_id: str
    person: str | None
    """In digits; None where only a user id is known."""
    user_id: str | None


PersonNews = Preference | UserIdChange | Call


@dataclass(frozen=True, slots=True)
class AccountNews:
    """Anything else: templates, quality, restrictions, people's preferences, fields that nobody knows yet."""

    waba_id: str
    field: str
    """Meta's `field`. Of the field "messages" with the list it stood in, such as "messages.errors": errors of a number,
    "messages.statuses": statuses that nobody knows yet."""
    value: Mapping[str, Any]
    """As Meta wrote it, made safe to store. Of several updates in one list it holds one, with all that stands around."""
    at: datetime | None
    """The update's own `timestamp`, else `entry.time`; None where Meta left both out, or where it cannot be."""
    key: str
    """The same for each delivery of the same news: a hash over account, field, value and time, in hex."""
    fragment: bytes
    about: PersonNews | None = None
    """What it tells of a person, where it does."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A body, or a piece of one, that says nothing we can use. It is kept with the reason, and can be replayed."""

    reason: UnreadableReason
    detail: str
    """For people: where in the body, and what was found."""
    fragment: bytes
    """The piece in its envelope; the whole body, as it came, where no piece can be cut out."""


News = Report | Inbound | AccountNews | Unreadable
