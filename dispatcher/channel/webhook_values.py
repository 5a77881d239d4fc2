"""Reads single values out of webhooks: ids, numbers of people, times, tokens, prices, errors.

Meta writes the same thing now as a text and now as a number, leaves things out, and moves them between versions. So
every reader takes anything at all and returns None where there is nothing to use; none raises. Whether None is a fault
is the caller's to say.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from dispatcher.domain.ids import Token
from dispatcher.domain.phone import E164_DIGITS_MAX
from dispatcher.domain.verdict import verdict_for

_ID_CHARS_MAX = 512
"""No length of a wamid is documented; those seen have about 60 characters, and an index entry must hold it."""
_TOKEN_CHARS_MAX = 512
"""Meta, "Send messages", `biz_opaque_callback_data`, read 2026-09."""
_CATEGORY_CHARS, _DETAIL_CHARS = 64, 300

_EARLIEST_S = int(datetime(2009, 1, 1, tzinfo=UTC).timestamp())
"""WhatsApp began in 2009: an earlier time is a zero, a test value, or another unit."""
_LATEST_S = int(datetime(2100, 1, 1, tzinfo=UTC).timestamp())
"""Later ones are other units: today's milliseconds, read as seconds, are the year 58000."""

_CODE_MAX = 2**31 - 1
"""What the ledger's column holds; Meta's codes have at most seven digits."""


def members_of(value: object) -> Mapping[str, Any]:
    """An object's members; none of anything else."""
    return value if isinstance(value, dict) else {}


def text_of(value: object, chars_max: int) -> str | None:
    """A text that is not empty, cut at ``chars_max``."""
    return value[:chars_max] if isinstance(value, str) and value else None


def id_of(value: object) -> str | None:
    """An id, compared exactly; some arrive as integers. None also for one that is too long to be one."""
    if isinstance(value, str):
        return value if 0 < len(value) <= _ID_CHARS_MAX else None
    return str(value) if type(value) is int else None


def digits_of(value: object) -> str | None:
    """A person's number in digits; None for a group's id, or whatever else may stand there."""
    digits = (id_of(value) or "").removeprefix("+")
    return digits if digits.isascii() and digits.isdecimal() and len(digits) <= E164_DIGITS_MAX else None


def moment_of(value: object) -> datetime | None:
    """Unix seconds, as a text (messages, statuses) or an integer (`user_preferences`, `entry.time`)."""
    seconds = _int_of(value)
    if seconds is None or not _EARLIEST_S <= seconds < _LATEST_S:
        return None
    return datetime.fromtimestamp(seconds, UTC)


def token_of(value: object) -> Token | None:
    """A token of the house, of whichever instance."""
    return Token.parse(value) if isinstance(value, str) and len(value) <= _TOKEN_CHARS_MAX else None


def price_of(status: Mapping[str, Any]) -> tuple[str | None, bool | None]:
    """What a status says Meta charges, as category and whether it is billed.

    Source: Meta, "Status messages webhook reference", `pricing`, and `conversation.origin.type` of v23 and before,
    read 2026-09.
    """
    pricing = members_of(status.get("pricing"))
    category, billable = text_of(pricing.get("category"), _CATEGORY_CHARS), pricing.get("billable")
    if category is None:
        origin = members_of(members_of(status.get("conversation")).get("origin"))
        category = text_of(origin.get("type"), _CATEGORY_CHARS)
    return category, billable if isinstance(billable, bool) else None


def failure_of(errors: object) -> tuple[int | None, str | None]:
    """Code and detail of a failure: the first error whose code has a verdict, else the first with a code, else the first."""
    listed = [error for error in errors if isinstance(error, dict)] if isinstance(errors, list) else []
    if not listed:
        return None, None
    error = min(listed, key=_strangeness)  # the first of the least strange
    return _code_of(error), detail_of(error)


def detail_of(error: Mapping[str, Any]) -> str | None:
    """The reason in Meta's words: `error_data.details` (an object, or in some errors a text), `message`, or the title."""
    data = error.get("error_data")
    details = data.get("details") if isinstance(data, dict) else data
    parts = [part for part in (details, error.get("message")) if isinstance(part, str) and part]
    return text_of("; ".join(dict.fromkeys(parts)) or error.get("title"), _DETAIL_CHARS)


def _strangeness(error: Mapping[str, Any]) -> int:
    code = _code_of(error)
    if code is None:
        return 2
    return 1 if verdict_for(code, by_webhook=True).is_news else 0


def _code_of(error: Mapping[str, Any]) -> int | None:
    code = _int_of(error.get("code"))
    return code if code is not None and 0 <= code <= _CODE_MAX else None


def _int_of(value: object) -> int | None:
    if isinstance(value, str):
        # why the length: int() refuses thousands of digits, and nothing here needs more than these.
        return int(value) if len(value) <= 20 and value.isascii() and value.isdecimal() else None
    return value if type(value) is int else None
