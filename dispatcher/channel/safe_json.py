"""Reads JSON of strangers so that whatever comes out can be stored.

People's texts may hold what JSON can say and PostgreSQL cannot keep: U+0000, half a surrogate pair. Either becomes
U+FFFD, here and once, so that nobody further on has to think of it. Numbers beyond what JSON libraries agree on become
floats, or the text as it is written where even a float cannot hold them; a body is not lost for one of them, nor for a
NaN, which is no JSON at all.

Invariant: what is returned holds no U+0000, no lone surrogate, no NaN and no infinity. How deeply it is nested is not
limited here: whoever writes it again must expect `orjson.JSONEncodeError`.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

import orjson

_ESCAPE = re.compile(
    rb"""\\(?:
        u[dD][89abAB][0-9a-fA-F]{2} \\u[dD][c-fC-F][0-9a-fA-F]{2}   # a pair of surrogates: one character
      | (?P<bad> u0000 | u[dD][89a-fA-F][0-9a-fA-F]{2} )            # NUL, or half a pair
      | .                                                           # any other, also an escaped backslash
    )""",
    re.VERBOSE | re.DOTALL,
)


def read_json(body: bytes) -> Any:
    """The value that ``body`` holds. Raises ValueError where it is no JSON, or is nested too deeply to be read.

    Cost: that of orjson alone for bodies without trouble; some twenty times that for the others.
    """
    if b"\\u0000" not in body:
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError:
            pass  # why: orjson refuses a whole body for one lone surrogate or one number beyond a double
    try:
        return json.loads(_mended(body), parse_int=_number, parse_float=_number, parse_constant=str)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _mended(body: bytes) -> str:
    """The same JSON with U+FFFD for whatever cannot be stored, and for bytes that are not UTF-8."""
    return _ESCAPE.sub(_mended_escape, body).decode("utf-8-sig", errors="replace")


def _mended_escape(escape: re.Match[bytes]) -> bytes:
    return rb"\ufffd" if escape["bad"] else escape[0]


def _number(text: str) -> int | float | str:
    """As orjson reads it: an int within 64 bits, else a float; the text itself beyond a double."""
    if len(text) <= 20 and text.lstrip("-").isdecimal() and -(2**63) <= int(text) < 2**64:
        return int(text)
    number = float(text)
    return number if math.isfinite(number) else text
