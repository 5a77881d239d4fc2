"""What goes wrong between a client and the API.

DispatchError
├── Refused       the API has answered, and did not do it; `kind` names the cause for programs
└── Unreachable   there was no answer, also after some tries; what was asked may have been done
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence


class DispatchError(Exception):
    """The root. Its text says what happened."""


class Unreachable(DispatchError):
    """No answer came. A call that carries a name of its own (`once`) may be made again under that name."""


class Refused(DispatchError):
    """A problem as the API tells it (RFC 9457)."""

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        *,
        hint: str | None = None,
        problems: Sequence[str] = (),
        field: str | None = None,
        window_closed_at: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__("; ".join([f"{status} {kind}: {detail}", *problems, *([hint] if hint else [])]))
        self.status = status
        self.kind = kind
        """Such as "not_found" or "conflict"."""
        self.detail = detail
        self.hint = hint
        self.problems = tuple(problems)
        self.field = field
        """Of a reply that Meta would refuse ("bad_content"): the part of it that is at fault."""
        self.window_closed_at = window_closed_at
        """Of a reply that comes too late ("window_closed")."""
        self.retry_after_s = retry_after_s
        """When to come again, where waiting helps."""

    @classmethod
    def of(cls, status: int, headers: Mapping[str, str], body: bytes) -> Refused:
        """From an answer, whoever gave it: a proxy in between tells no problem details."""
        try:
            told = json.loads(body)
        except ValueError:
            told = {}
        told = told if isinstance(told, dict) else {}
        after = headers.get("retry-after", "")
        return cls(
            status,
            str(told.get("type", "http_error")).rpartition(":")[2],
            str(told.get("detail", body[:200].decode(errors="replace"))),
            hint=told.get("hint"),
            problems=told.get("problems") or (),
            field=told.get("field"),
            window_closed_at=told.get("window_closed_at"),
            retry_after_s=float(after) if after.isdecimal() else None,
        )
