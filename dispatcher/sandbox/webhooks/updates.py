"""What a webhook can carry: receipts of accepted messages, messages from people, events of an account.

Each update knows its place in the envelope and its own JSON; the envelope itself, with its signature, is made in
`webhooks`. Updates hold facts only and make their JSON when asked, since most wait in memory before they travel.

Source: Meta, "Messages webhooks" (statuses, text and others), "Business-scoped user ids" and the page of each
account field, read 2026-09.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ..refusals import title_of
from ..world import Number, Person

Json = dict[str, Any]

_HREF = "https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes/"


class ReceiptStatus(StrEnum):
    """What Meta reports of a message it accepted."""

    SENT = "sent"
    """On its way to the person."""
    DELIVERED = "delivered"
    """On a device of the person."""
    READ = "read"
    """Seen, by a person who lets that be known."""
    FAILED = "failed"
    """Will not arrive; `errors` says why."""


@dataclass(frozen=True, slots=True)
class AcceptedMessage:
    """What receipts need to know of a message; shared by all of its receipts."""

    wamid: str
    number: Number
    person: Person
    token: str
    category: str
    """In lower case: marketing, utility, authentication, or service for a reply."""
    at_ms: int


@dataclass(frozen=True, slots=True)
class Receipt:
    """One status of one message."""

    message: AcceptedMessage
    status: ReceiptStatus
    at_ms: int
    """When it happened; how long it then travels is another matter."""
    code: int | None = None
    """Why it failed."""
    is_priced: bool = False
    """Carries the price category: `sent` does, and exactly one of `delivered` and `read`."""

    @property
    def kind(self) -> str:
        """How it is counted."""
        return self.status.value


@dataclass(frozen=True, slots=True)
class Inbound:
    """A message from a person to a number."""

    number: Number
    person: Person
    name: str
    fragment: Json
    """`messages[0]` as it will be read."""
    is_hidden: bool = False
    """The person's telephone number is not shown, only the scoped id."""
    has_contact: bool = True
    """Notices, such as of a new number, come without `contacts`."""

    @property
    def kind(self) -> str:
        """How it is counted."""
        return "inbound"


@dataclass(frozen=True, slots=True)
class Event:
    """A change of an account, of any field."""

    waba_id: str
    field: str
    value: Any
    at_ms: int

    @property
    def kind(self) -> str:
        """How it is counted."""
        return "event"


Update = Receipt | Inbound | Event
"""Whatever is reported on its own and may be batched with others."""


def receipts_value(receipts: Iterable[Receipt], *, scoped_ids: bool) -> Json:
    """The `value` of a change with receipts of one number. `contacts` are not given for failures."""
    listed = list(receipts)
    people = {receipt.message.person for receipt in listed if receipt.status is not ReceiptStatus.FAILED}
    value = number_value(listed[0].message.number)
    if scoped_ids and people:
        value["contacts"] = [contact(person, name_of(person)) for person in sorted(people, key=str)]
    value["statuses"] = [_status(receipt, scoped_ids=scoped_ids) for receipt in listed]
    return value


def messages_value(messages: Iterable[Inbound], *, scoped_ids: bool) -> Json:
    """The `value` of a change with messages to one number."""
    listed = list(messages)
    value = number_value(listed[0].number)
    people = {each.person: each for each in listed if each.has_contact}
    if people:
        value["contacts"] = [
            contact(each.person, each.name, is_hidden=each.is_hidden, scoped_ids=scoped_ids)
            for each in people.values()
        ]
    value["messages"] = [each.fragment for each in listed]
    return value


def contact(person: Person, name: str, *, is_hidden: bool = False, scoped_ids: bool = True) -> Json:
    """One of `contacts`: `wa_id` where the telephone number is known, `user_id` in the shape of 2026."""
    entry: Json = {"profile": {"name": name}}
    if isinstance(person, int) and not is_hidden:
        entry["wa_id"] = str(person)
    if scoped_ids or "wa_id" not in entry:
        entry["user_id"] = scoped_id(person)
    return entry


def scoped_id(person: Person) -> str:
    """The business-scoped id of a person; made up, and always the same, for one known by telephone number."""
    return f"US.7{person:018d}" if isinstance(person, int) else person


def name_of(person: Person) -> str:
    """A profile name that is not plain ASCII, since names are not."""
    return f"Zoë {str(person)[-4:]}"


def number_value(number: Number) -> Json:
    """What every `value` of a number begins with."""
    return {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": str(number.digits), "phone_number_id": number.id},
    }


def _status(receipt: Receipt, *, scoped_ids: bool) -> Json:
    message = receipt.message
    status: Json = {
        "id": message.wamid,
        "status": receipt.status.value,
        "timestamp": str(receipt.at_ms // 1000),
    }
    by_telephone = isinstance(message.person, int)
    if by_telephone:
        status["recipient_id"] = str(message.person)
    # why: on a failure Meta leaves the scoped id out when the message went to a telephone number.
    if not by_telephone or (scoped_ids and receipt.status is not ReceiptStatus.FAILED):
        status["recipient_user_id"] = scoped_id(message.person)
    if message.token:
        status["biz_opaque_callback_data"] = message.token
    if receipt.is_priced:
        status["pricing"] = _pricing(message.category)
    if receipt.code is not None:
        status["errors"] = [_error(receipt.code)]
    return status


def _pricing(category: str) -> Mapping[str, object]:
    # why: "service" is what was free until 2026-09-30; billed since, and so it is told here.
    return {"billable": True, "pricing_model": "PMP", "type": "regular", "category": category}


def _error(code: int) -> Mapping[str, object]:
    title = title_of(code)
    return {
        "code": code,
        "title": title,
        "message": title,
        "error_data": {"details": f"{title}."},
        "href": _HREF,
    }
