"""Calls about events: who is told of what, and what nobody took."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dispatcher.client.calls import Call, Paged, create, get, given
from dispatcher.client.event_shapes import (
    CreatedSubscription,
    DeadLetter,
    Done,
    Ping,
    Secret,
    Subscription,
)


def subscribe(
    url: str, kinds: Sequence[str], *, senders: Sequence[str] | None = None, once: str | None = None
) -> Call[CreatedSubscription]:
    """Be told of these kinds. Keep the secret: it is shown this once; lost with its answer, it is None in a repetition."""
    body = given(url=url, kinds=list(kinds), senders=list(senders) if senders is not None else None)
    return create("/subscriptions", body, once)


def relay(
    url: str,
    *,
    app_secret: str,
    verify_token: str,
    senders: Sequence[str] | None = None,
    once: str | None = None,
) -> Call[Subscription]:
    """Have the callback of a client of the gateway told in Meta's form; it must answer Meta's handshake at once."""
    told = list(senders) if senders is not None else None
    body = given(url=url, app_secret=app_secret, verify_token=verify_token, senders=told)
    return create("/relays", body, once)


def every() -> Paged[Subscription]:
    """All subscriptions, and how delivery to each stands."""
    return Paged(get("/subscriptions", limit=1_000))


def show(subscription: int) -> Call[Subscription]:
    """One subscription as it stands."""
    return get(f"/subscriptions/{subscription}")


def change(subscription: int, **changes: Any) -> Call[Subscription]:
    """Change what is named, whatever else was changed meanwhile: `change(1, enabled=True, kinds=["campaign.*"])`."""
    return Call("PATCH", f"/subscriptions/{subscription}", body=changes, headers={"If-Match": "*"})


def remove(subscription: int) -> Call[Subscription]:
    """Forget it, with all that waits for it."""
    return Call("DELETE", f"/subscriptions/{subscription}", is_repeatable=False)


def rotate_secret(subscription: int) -> Call[Secret]:
    """Another secret; for a day both sign."""
    return Call("POST", f"/subscriptions/{subscription}/rotate-secret", is_repeatable=False)


def ping(subscription: int) -> Call[Ping]:
    """An event that says nothing."""
    return Call("POST", f"/subscriptions/{subscription}/ping")


def dead(subscription: int) -> Paged[DeadLetter]:
    """Events that the receiver did not take in time."""
    return Paged(get(f"/subscriptions/{subscription}/dead", limit=1_000))


def replay(subscription: int, events: Sequence[str] | None = None, *, since: str | None = None) -> Call[Done]:
    """Have dead letters delivered again: these, or what became true since then, or all."""
    return Call("POST", f"/subscriptions/{subscription}/dead/replay", body=_which(events, since=since))


def purge(subscription: int, events: Sequence[str] | None = None, *, before: str | None = None) -> Call[Done]:
    """Forget dead letters for good: these, or what became true before then, or all."""
    return Call("POST", f"/subscriptions/{subscription}/dead/purge", body=_which(events, before=before))


def _which(events: Sequence[str] | None, **bound: str | None) -> dict[str, Any]:
    chosen = given(events=list(events) if events is not None else None, **bound)
    return chosen or {"all": True}
