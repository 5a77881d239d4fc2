"""Cards of contacts as a reply: names with numbers, addresses of mail and a company.

A card has its name in full and its first name by itself, as the cards have that Meta delivers. Meta names no limits for
its fields; those here are ours. Source: Meta, "Contacts messages", read 2026-09.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from dispatcher.domain.content import Problem, problem_with_text

CONTACTS_MAX = 20
"""Ours: Meta names no number; a message of more cards is a file."""
FIELD_CHARS_MAX = 256
"""Ours, for each field of a card."""


@dataclass(frozen=True, slots=True)
class Contact:
    """One card."""

    name: str
    """In full, as it is shown."""
    first_name: str
    phones: Sequence[str] = ()
    """As people dial them; WhatsApp offers a chat where the number is on it."""
    emails: Sequence[str] = ()
    company: str | None = None


@dataclass(frozen=True, slots=True)
class Contacts:
    """One card or several."""

    cards: Sequence[Contact]


def problem_with_contacts(content: Contacts) -> Problem | None:
    """The first thing wrong with a card, or None."""
    if not 1 <= len(content.cards) <= CONTACTS_MAX:
        return Problem("contacts", f"are {len(content.cards)}; 1 to {CONTACTS_MAX} are allowed")
    for n, card in enumerate(content.cards, 1):
        fields = [("name", card.name), ("first_name", card.first_name), ("company", card.company)]
        fields += [(f"phones.{m}", phone) for m, phone in enumerate(card.phones, 1)]
        fields += [(f"emails.{m}", email) for m, email in enumerate(card.emails, 1)]
        for field, text in fields:
            if problem := problem_with_text(f"contacts.{n}.{field}", text, FIELD_CHARS_MAX):
                return problem
    return None
