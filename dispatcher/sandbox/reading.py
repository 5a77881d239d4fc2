"""Reads the parts of a posted message, and says in Meta's words what is wrong with them.

131008 for what is missing, 131009 for what cannot be as it is.
Source: Meta, "Cloud API error codes", read 2026-09.
"""

import re
from collections.abc import Mapping
from typing import Any

from .refusals import Refusal

_LINK = re.compile(r"https?://[^\s/?#]+\S*", re.IGNORECASE)

Json = Mapping[str, Any]


class Bad(Exception):
    """A part of a message that Meta refuses."""

    def __init__(self, code: int, details: str) -> None:
        super().__init__(details)
        self.refusal = Refusal(code, details)


def member(holder: object, where: str, name: str, kind: type) -> Any:
    """A member of the given kind. Raises Bad."""
    if not isinstance(holder, dict):
        raise Bad(131009, f"Param {where!r} must be an object.")
    if holder.get(name) is None:
        raise Bad(131008, f"{where}[{name!r}] is required.")
    if not isinstance(holder[name], kind):
        raise Bad(131009, f"Param {where}[{name!r}] has the wrong type.")
    return holder[name]


def text_of(holder: object, where: str, name: str, max_chars: int) -> str:
    """A text of 1 to so many characters. Raises Bad."""
    text: str = member(holder, where, name, str)
    if not 1 <= len(text) <= max_chars:
        raise Bad(131009, f"Param {where}[{name!r}] must be a text of 1 to {max_chars} characters.")
    return text


def check_link(link: object, where: str) -> None:
    """An address that Meta can fetch or open. Raises Bad."""
    if not isinstance(link, str) or not _LINK.fullmatch(link):
        raise Bad(131009, f"Param {where} is not a valid URL.")
