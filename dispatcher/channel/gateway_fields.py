"""Reads the fields of a message that somebody wrote for Meta's API, and leaves none unread.

Meta overlooks what it does not know; here that is an objection, since a field that nobody reads is a wish that nobody
honours. `None` counts as left out, as clients write it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dispatcher.domain.gateway import Objection, Refused


class Objected(Exception):
    """Ends the reading of a message; becomes a value where the reading began."""

    def __init__(self, why: Objection, details: str) -> None:
        super().__init__(details)
        self.refused = Refused(why, details)


class Fields:
    """One object of a message. Every reader names the field as clients know it: `interactive.action.button`."""

    def __init__(self, value: object, where: str = "") -> None:
        """Raises Objected where it is no object."""
        if not isinstance(value, dict):
            raise Objected(Objection.BAD_FIELD, f"{where or 'the body'} must be an object")
        self._left = {name: given for name, given in value.items() if given is not None}
        self._where = where

    def name(self, field: str) -> str:
        """A field as clients know it."""
        return f"{self._where}.{field}" if self._where else field

    def take(self, field: str) -> Any:
        """Whatever stands there; None where it was left out."""
        return self._left.pop(field, None)

    def need(self, field: str) -> Any:
        """The same of what must be there. Raises Objected."""
        given = self.take(field)
        if given is None:
            raise Objected(Objection.MISSING_FIELD, f"{self.name(field)} is required")
        return given

    def text(self, field: str, *, chars_max: int | None = None) -> str | None:
        """A text, which may be empty. Raises Objected."""
        given = self.take(field)
        if given is None:
            return None
        if not isinstance(given, str):
            raise Objected(Objection.BAD_FIELD, f"{self.name(field)} must be a text")
        if chars_max is not None and len(given) > chars_max:
            raise Objected(
                Objection.BAD_FIELD,
                f"{self.name(field)} has {len(given)} characters, {chars_max} are allowed",
            )
        return given

    def need_text(self, field: str) -> str:
        """The same of a text that must be there. Raises Objected."""
        given = self.text(field)
        if given is None:
            raise Objected(Objection.MISSING_FIELD, f"{self.name(field)} is required")
        return given

    def flag(self, field: str) -> bool:
        """Raises Objected; False where it was left out."""
        given = self.take(field)
        if given is None:
            return False
        if not isinstance(given, bool):
            raise Objected(Objection.BAD_FIELD, f"{self.name(field)} must be true or false")
        return given

    def number(self, field: str) -> float:
        """A number, or a text that is one. Raises Objected."""
        given = self.need(field)
        try:
            # why by way of text: true is no number, and float() takes it for one.
            return float(str(given))
        except ValueError:
            raise Objected(Objection.BAD_FIELD, f"{self.name(field)} must be a number") from None

    def inner(self, field: str) -> Fields:
        """An object inside of this one. Raises Objected."""
        return Fields(self.need(field), self.name(field))

    def inner_if(self, field: str) -> Fields | None:
        """The same where it is there."""
        given = self.take(field)
        return None if given is None else Fields(given, self.name(field))

    def each(self, field: str) -> Iterator[Fields]:
        """The objects of a list, which must be there. Raises Objected."""
        return self._each(field, self.need(field))

    def each_if(self, field: str) -> Iterator[Fields]:
        """The same of a list that may be left out."""
        given = self.take(field)
        return self._each(field, [] if given is None else given)

    def _each(self, field: str, given: object) -> Iterator[Fields]:
        if not isinstance(given, list):
            raise Objected(Objection.BAD_FIELD, f"{self.name(field)} must be a list")
        for place, item in enumerate(given):
            yield Fields(item, f"{self.name(field)}[{place}]")

    def must_be(self, field: str, *words: str) -> str:
        """One of these words, in whichever case. Raises Objected."""
        given = self.need_text(field).lower()
        if given not in words:
            raise Objected(
                Objection.BAD_FIELD, f"{self.name(field)} must be {' or '.join(words)}, not {given!r}"
            )
        return given

    def done(self) -> None:
        """All of it has been read. Raises Objected for what is left."""
        if self._left:
            names = ", ".join(self.name(field) for field in sorted(self._left))
            raise Objected(
                Objection.UNKNOWN_FIELD, f"{names}: we do not know this, and nothing is overlooked here"
            )


def media_source(fields: Fields) -> str:
    """The id of an upload or a link; where both are given, Meta takes the id. Raises Objected."""
    link, given = fields.text("link"), fields.take("id")
    source = str(given) if isinstance(given, int | str) and given else link
    if not source:
        raise Objected(Objection.MISSING_FIELD, f"{fields.name('id')} or {fields.name('link')} is required")
    return source
