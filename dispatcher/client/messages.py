"""Calls about single messages: utility and authentication templates, outside any campaign."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from dispatcher.client.calls import Call, create, get, given
from dispatcher.client.shapes import Ordered, Single, UnsurePolicy


def send(
    to: str,
    *,
    sender: str,
    template: str,
    language: str,
    values: Mapping[str, str],
    once: str,
    deadline: datetime | None = None,
    priority: int | None = None,
    unsure_policy: UnsurePolicy | None = None,
    metadata: Mapping[str, str] | None = None,
) -> Call[Ordered]:
    """Send one message. values: a text for each slot, such as `{"body.1": "Ann"}`.

    once: a name for this message, such as the number of an order: under it the person gets it once, whatever breaks.
    """
    body = given(
        to=to,
        sender=sender,
        template=template,
        language=language,
        values=values,
        deadline=deadline.isoformat() if deadline is not None else None,
        priority=priority,
        unsure_policy=unsure_policy,
        metadata=metadata,
    )
    return create("/messages", body, once)


def show(message_id: int) -> Call[Single]:
    """A single message as it stands, and why."""
    return get(f"/messages/{message_id}")


def cancel(message_id: int) -> Call[Single]:
    """Do not send it, unless it was handed over already."""
    return Call("POST", f"/messages/{message_id}/cancel")
