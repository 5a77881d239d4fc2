"""Calls about senders, and about people who get nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from dispatcher.client.calls import Call, Paged, get, given
from dispatcher.client.shapes import Changed, History, Sender, Senders, Suppressed


def every() -> Call[Senders]:
    """All senders, by name."""
    return get("/senders")


def show(name: str) -> Call[Sender]:
    """One sender as it stands."""
    return get(f"/senders/{quote(name, safe='')}")


def change(name: str, **changes: Any) -> Call[Sender]:
    """Change what is named, whatever else was changed meanwhile: `change("harbour", rate="40/s", enabled=True)`."""
    return Call("PATCH", f"/senders/{quote(name, safe='')}", body=changes, headers={"If-Match": "*"})


def suppress(people: Sequence[str], reason: str | None = None) -> Call[Changed]:
    """Put up to 1,000 people on the suppression list, by number."""
    return Call("POST", "/suppressions", body=given(people=list(people), reason=reason))


def unsuppress(people: Sequence[str]) -> Call[Changed]:
    """Take up to 1,000 people off the list."""
    return Call("POST", "/suppressions/remove", body={"people": list(people)})


def suppressed() -> Paged[Suppressed]:
    """Everybody on the list."""
    return Paged(get("/suppressions", limit=1_000))


def history(person: str) -> Call[History]:
    """How a person, by number or user id, came onto the list and off it."""
    return get(f"/suppressions/{quote(person, safe='')}/history")
