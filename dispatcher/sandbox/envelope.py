"""Reads what every message carries around its content: product, recipient, our token.

Answers with plain values or with the refusal Meta would give; what the message says is for `freeform` and
`parameters`, whether it may go for `judge`.

Source: Meta, "Send messages", common fields, and "Phone numbers", read 2026-09.
"""

import re
from collections.abc import Mapping
from typing import Any

import orjson

from .refusals import Refusal
from .world import Person

_NOT_DIGITS = str.maketrans("", "", "+-() ")
_SCOPED_ID = re.compile(r"[A-Z]{2}\.(ENT\.)?[A-Za-z0-9]{1,128}")
_CALLBACK_DATA_CHARS = 512


def read_person(given: str) -> Person | None:
    """A phone number (`+`, spaces, hyphens and parentheses tolerated) as digits, or None if it is not one.

    Source: Meta, "Phone numbers", read 2026-09; E.164 allows 15 digits, and no subscriber has fewer than 7.
    """
    digits = given.translate(_NOT_DIGITS)
    if not (7 <= len(digits) <= 15 and digits.isascii() and digits.isdigit() and digits[0] != "0"):
        return None
    return int(digits)


def read_scoped_id(given: str) -> str | None:
    """A business-scoped user id as it is, or None if it is not one.

    Source: Meta, "Business-scoped user ids", read 2026-09.
    """
    return given if _SCOPED_ID.fullmatch(given) else None


def read_message(body: bytes) -> dict[str, Any] | Refusal:
    """The posted JSON with its envelope checked."""
    try:
        message = orjson.loads(body)
    except orjson.JSONDecodeError:
        return Refusal(100, "The request body is not valid JSON.")
    if not isinstance(message, dict):
        return Refusal(100, "The request body must be a JSON object.")
    if message.get("messaging_product") != "whatsapp":
        return Refusal(100, "The parameter messaging_product is required and must be 'whatsapp'.")
    if message.get("recipient_type", "individual") != "individual":
        return Refusal(100, "The sandbox knows only recipient_type 'individual'.")
    token = message.get("biz_opaque_callback_data", "")
    if not isinstance(token, str) or len(token) > _CALLBACK_DATA_CHARS:
        return Refusal(
            100, f"biz_opaque_callback_data must be a string of at most {_CALLBACK_DATA_CHARS} characters."
        )
    return message


def read_recipient(message: Mapping[str, Any]) -> Person | Refusal:
    """Who the message is for; `to` wins over `recipient`."""
    given = message.get("to")
    if given:
        phone = read_person(given) if isinstance(given, str) else None
        return Refusal(131009, "Parameter 'to' is not a phone number.") if phone is None else phone
    scoped = message.get("recipient")
    if not scoped:
        return Refusal(131008, "The parameter to is required.")
    person = read_scoped_id(scoped) if isinstance(scoped, str) else None
    return person or Refusal(131009, "Parameter 'recipient' is not a business-scoped user id.")
