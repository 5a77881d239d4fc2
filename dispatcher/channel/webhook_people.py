"""Reads what webhooks tell of people: their words, their buttons, their ids, and how these change.

Everything is optional and moves between versions of the API, so that each reader takes anything and returns None where there
is nothing to use; texts of notices are for eyes and are never parsed.

Source: Meta, "Messages webhooks", "Business-scoped user ids", "user_preferences" and "user_id_update", read 2026-09.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dispatcher.channel.webhook_envelope import Update
from dispatcher.channel.webhook_values import digits_of, id_of, members_of, text_of
from dispatcher.domain.webhook import Call, PersonNews, Preference, UserIdChange

_WORDS_CHARS = 1_000
"""Of what is looked at for words that opt out; nothing that long does."""


def words_of(message: Mapping[str, Any]) -> str | None:
    """What the person wrote or pressed, as they saw it: a text, an edited one, or a button's label."""
    match message.get("type"):
        case "text":
            words = members_of(message.get("text")).get("body")
        case "button":
            words = members_of(message.get("button")).get("text")
        case "interactive":
            words = _pressed(message).get("title")
        case "edit":
            edited = members_of(members_of(message.get("edit")).get("message"))
            words = members_of(edited.get("text")).get("body")
        case _:
            words = None
    return text_of(words, _WORDS_CHARS)


def payload_of(message: Mapping[str, Any]) -> str | None:
    """What the business put behind the button that was pressed."""
    if message.get("type") == "button":
        return id_of(members_of(message.get("button")).get("payload"))
    return id_of(_pressed(message).get("id"))


def moved_to(message: Mapping[str, Any]) -> str | None:
    """The writer's new number in digits, where a notice says that it changed."""
    system = members_of(message.get("system"))
    return digits_of(system.get("wa_id")) if system.get("type") == "user_changed_number" else None


def shared_number(message: Mapping[str, Any]) -> str | None:
    """The writer's own number in digits, where they gave it because they were asked.

    Any other contact may be anybody's. `origin` stands in each of `contacts` or beside them: Meta's pages disagree.
    """
    contacts = message.get("contacts")
    for contact in contacts if isinstance(contacts, list) else ():
        origin = members_of(contact).get("origin") or message.get("origin")
        phones = members_of(contact).get("phones")
        if origin == "contact_request" and isinstance(phones, list) and phones:
            phone = members_of(phones[0])
            return digits_of(phone.get("wa_id")) or digits_of(phone.get("phone"))
    return None


def parent_id_of(message: Mapping[str, Any], contact: Mapping[str, Any]) -> str | None:
    """The id by which all businesses under one parent know the person."""
    system = members_of(message.get("system"))
    return (
        id_of(message.get("from_parent_user_id"))
        or id_of(contact.get("parent_user_id"))
        or id_of(system.get("parent_user_id"))
    )


def about_person(update: Update) -> PersonNews | None:
    """What news of an account tells of one person; None for all other news, and where nobody is named."""
    content = members_of(update.content)
    reader = _READERS.get(update.place)
    return reader(update, content) if reader is not None and content else None


def _preference(update: Update, content: Mapping[str, Any]) -> Preference | None:
    contact = members_of(update.contact)
    person = digits_of(content.get("wa_id")) or digits_of(contact.get("wa_id"))
    user_id = id_of(content.get("user_id")) or id_of(contact.get("user_id"))
    wants = {"stop": False, "resume": True, "signup": True}.get(str(content.get("value")))
    if wants is None or (person is None and user_id is None):
        return None
    return Preference(person, user_id, id_of(content.get("parent_user_id")), wants_messages=wants)


def _user_id_change(update: Update, content: Mapping[str, Any]) -> UserIdChange | None:
    # The contact is left aside: it may name either of the two ids.
    ids = [
        id_
        for moment in ("current", "previous")
        for member in ("user_id", "parent_user_id")
        if (id_ := id_of(members_of(content.get(member)).get(moment)))
    ]
    person = digits_of(content.get("wa_id")) or digits_of(members_of(update.contact).get("wa_id"))
    return UserIdChange(person, tuple(ids)) if ids else None


def _call(update: Update, content: Mapping[str, Any]) -> Call | None:
    """Calls of people alone, at their beginning; the business makes none by this software."""
    if content.get("direction") != "USER_INITIATED" or content.get("event") != "connect":
        return None
    person, user_id = digits_of(content.get("from")), id_of(content.get("from_user_id"))
    if update.phone_number_id is None or (person is None and user_id is None):
        return None
    return Call(update.phone_number_id, person, user_id)


def _pressed(message: Mapping[str, Any]) -> Mapping[str, Any]:
    """The button or the row of a list that was chosen."""
    interactive = members_of(message.get("interactive"))
    return members_of(interactive.get("button_reply")) or members_of(interactive.get("list_reply"))


_READERS: Mapping[str, Callable[[Update, Mapping[str, Any]], PersonNews | None]] = {
    "user_preferences": _preference,
    "user_id_update": _user_id_change,
    "calls": _call,
}
