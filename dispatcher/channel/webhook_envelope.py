"""Finds the updates in a webhook's envelope.

An envelope holds entries (an account each), an entry changes (a field each), and a change either one piece of news or
lists of updates: statuses, messages, errors, preferences. Each update is handed out with a body of its own, the smallest
that says the same, so that it can be put aside and read again without its neighbours.

Invariants: every update is handed out once, in the order of the body; whatever stands where an update should be is
handed out as unreadable; at least one of both comes out. `contacts` describe people and are no updates.

Source: Meta, "Webhooks overview" (batches of up to 1,000 updates) and "Messages webhooks", read 2026-09.
"""

from __future__ import annotations

import reprlib
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, NamedTuple

import orjson

from dispatcher.channel.webhook_values import id_of, members_of
from dispatcher.domain.webhook import Unreadable, UnreadableReason

_OBJECT = "whatsapp_business_account"
_MESSAGES = "messages"
_KNOWN_LISTS = ("statuses", "messages", "errors")
"""Lists in the field "messages" that are refused where they are no lists; any other list there holds updates, too."""
_LISTS_OF_OTHERS: Mapping[str, str] = {
    "user_preferences": "user_preferences",
    "user_id_update": "user_id_update",
    "smb_message_echoes": "message_echoes",
    "calls": "calls",
}
"""Field → the member of its value that lists updates. Other fields tell one thing per change."""
_PERSON_IDS = ("from", "from_user_id", "wa_id", "user_id", "to", "to_user_id")
"""Under which names an update names the person whom one of `contacts` describes."""
_FOUND_CHARS = 160


class Fault(NamedTuple):
    """Why a piece cannot be read."""

    reason: UnreadableReason
    member: str
    """Of the piece; empty where it is the piece itself."""
    found: object


class Update(NamedTuple):
    """One update, with all that it needs to be understood alone. A tuple, since there is one per receipt."""

    place: str
    """The change's field; for updates of the field "messages" with the list they stand in: "messages.statuses"."""
    content: Any
    """The update itself; None where the whole value of the change is one."""
    value: dict[str, Any]
    """The change's value, with this update alone."""
    contact: dict[str, Any] | None
    """The one of `contacts` that describes its person."""
    phone_number_id: str | None
    entry: Mapping[str, Any]
    """The entry without its changes: `id` of the account, `time`."""
    fragment: bytes
    path: str
    """For people: where in the body it was found."""

    def unreadable(self, fault: Fault) -> Unreadable:
        """This update as one that cannot be read."""
        return _unreadable(fault, self.path, self.fragment)


def updates_in(tree: object, body: bytes) -> Iterator[Update | Unreadable]:
    """All updates of the envelope ``tree``. ``body`` is what it was read from; it stands in where no piece can be cut out."""
    envelope = members_of(tree)
    entries = envelope.get("entry")
    if envelope.get("object") != _OBJECT or not isinstance(entries, list) or not entries:
        yield _unreadable(Fault(UnreadableReason.NOT_A_WEBHOOK, "", tree), "body", body)
        return
    for number, entry in enumerate(entries):
        yield from _updates_in_entry(entry, f"entry[{number}]", body)


def _updates_in_entry(entry: object, path: str, body: bytes) -> Iterator[Update | Unreadable]:
    changes = entry.get("changes") if isinstance(entry, dict) else None
    if isinstance(entry, dict) and isinstance(changes, list) and changes:
        around = {name: member for name, member in entry.items() if name != "changes"}
        for number, change in enumerate(changes):
            yield from _updates_in_change(around, change, f"{path}.changes[{number}]", body)
        return
    fault = Fault(UnreadableReason.NOT_AN_OBJECT, "", entry)
    if isinstance(entry, dict):
        fault = Fault(UnreadableReason.NOT_A_LIST, "changes", changes)
    yield _unreadable(fault, path, _written(entry) or body)


def _updates_in_change(
    entry: dict[str, Any], change: object, path: str, body: bytes
) -> Iterator[Update | Unreadable]:
    field, value = members_of(change).get("field"), members_of(change).get("value")
    if isinstance(field, str) and field and isinstance(value, dict):
        yield from _Change(entry, field, value, f"{path}.value", body).updates()
        return
    if not isinstance(change, dict):
        fault = Fault(UnreadableReason.NOT_AN_OBJECT, "", change)
    elif not isinstance(field, str) or not field:
        fault = Fault(UnreadableReason.NO_FIELD, "field", field)
    else:
        fault = Fault(UnreadableReason.NOT_AN_OBJECT, "value", value)
    yield _unreadable(fault, path, _written({**entry, "changes": [change]}) or body)


class _Change:
    """The change of one field, and how its updates are told apart."""

    def __init__(
        self, entry: dict[str, Any], field: str, value: dict[str, Any], path: str, body: bytes
    ) -> None:
        self._entry, self._field, self._value, self._path, self._body = entry, field, value, path, body
        self._phone_number_id = id_of(members_of(value.get("metadata")).get("phone_number_id"))
        self._lists = self._names_of_lists()
        self._around = {
            name: member for name, member in value.items() if name not in self._lists and name != "contacts"
        }

    def updates(self) -> Iterator[Update | Unreadable]:
        """One per element of the lists; where there is none, the whole value is one."""
        for name in self._lists:
            listed = self._value[name]
            if isinstance(listed, list):
                for number, content in enumerate(listed):
                    yield self._update(name, content, f"{self._path}.{name}[{number}]")
            else:
                fragment = self._fragment({**self._around, name: listed})
                fault = Fault(UnreadableReason.NOT_A_LIST, name, listed)
                yield _unreadable(fault, self._path, fragment or self._body)
        if not self._lists:
            yield self._handed_out(self._field, None, self._value, None, self._path)

    def _names_of_lists(self) -> dict[str, None]:
        """Members of the value that hold updates, or should, in its order; empty ones hold nothing."""
        if self._field != _MESSAGES:
            name = _LISTS_OF_OTHERS.get(self._field, "")
            listed = self._value.get(name)
            return {name: None} if listed and isinstance(listed, list) else {}
        return {
            name: None
            for name, member in self._value.items()
            if member and (isinstance(member, list) or name in _KNOWN_LISTS) and name != "contacts"
        }

    def _update(self, name: str, content: object, path: str) -> Update | Unreadable:
        """One element of a list. Receipts name their person themselves and need no contact."""
        value, contact = {**self._around, name: [content]}, None
        if name != "statuses":
            contact = self._contact_of(content)
            if contact is not None:
                value["contacts"] = [contact]
        place = f"{_MESSAGES}.{name}" if self._field == _MESSAGES else self._field
        return self._handed_out(place, content, value, contact, path)

    def _handed_out(
        self,
        place: str,
        content: object,
        value: dict[str, Any],
        contact: dict[str, Any] | None,
        path: str,
    ) -> Update | Unreadable:
        fragment = self._fragment(value)
        if fragment is None:
            return Unreadable(UnreadableReason.TOO_DEEP, path, self._body)
        return Update(place, content, value, contact, self._phone_number_id, self._entry, fragment, path)

    def _contact_of(self, content: object) -> dict[str, Any] | None:
        """Of an only update the only contact, whatever either calls the person; else the one that shares an id with it."""
        if self._only_contact is not None:
            return self._only_contact
        ids = members_of(content)
        keys = [key for name in _PERSON_IDS if (key := id_of(ids.get(name)))]
        return next((self._contact_by_id[key] for key in keys if key in self._contact_by_id), None)

    @cached_property
    def _contacts(self) -> list[dict[str, Any]]:
        contacts = self._value.get("contacts")
        return [each for each in contacts if isinstance(each, dict)] if isinstance(contacts, list) else []

    @cached_property
    def _contact_by_id(self) -> dict[str, dict[str, Any]]:
        return {
            key: each
            for each in self._contacts
            for name in ("wa_id", "user_id")
            if (key := id_of(each.get(name)))
        }

    @cached_property
    def _only_contact(self) -> dict[str, Any] | None:
        lists = [self._value[name] for name in self._lists]
        updates = sum(len(listed) for listed in lists if isinstance(listed, list))
        return self._contacts[0] if updates == len(self._contacts) == 1 else None

    def _fragment(self, value: object) -> bytes | None:
        return _written({**self._entry, "changes": [{"field": self._field, "value": value}]})


def _written(entry: object) -> bytes | None:
    """A body with this entry alone; None where it is nested too deeply to be written."""
    try:
        return orjson.dumps({"object": _OBJECT, "entry": [entry]})
    except orjson.JSONEncodeError:
        return None


def _unreadable(fault: Fault, path: str, fragment: bytes) -> Unreadable:
    where = f"{path}.{fault.member}" if fault.member else path
    # why reprlib: what was found may be anything, megabytes of it and any depth.
    return Unreadable(fault.reason, f"{where}: {reprlib.repr(fault.found)[:_FOUND_CHARS]}", fragment)
