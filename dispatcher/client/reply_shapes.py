"""The answers about replies and conversations, as types, in the manner of `shapes.py`."""

from __future__ import annotations

from typing import Any, TypedDict

from dispatcher.client.shapes import Explanation, MessageState, UnsurePolicy


class QueuedReply(TypedDict):
    """A reply that will be sent."""

    id: int
    position: int
    window_ends_at: str
    is_new: bool


class Reply(TypedDict):
    """A reply in a list."""

    id: int
    sender: str
    person: str
    position: int
    state: MessageState
    reason: str | None
    detail: str | None
    code: int | None
    wamid: str | None
    attempt: int
    not_before: str | None
    queued_at: str
    posted_at: str | None
    window_ends_at: str
    waits_for: int | None
    content: dict[str, Any]
    context: str | None
    key: str | None
    unsure_policy: UnsurePolicy


class ReplyDetail(Reply):
    """A reply with its history."""

    attempts: list[dict[str, Any]]
    receipts: list[dict[str, Any]]


class ExplainedReply(TypedDict):
    """A reply, and why it is where it is."""

    reply: ReplyDetail
    explanation: Explanation


class Marked(TypedDict):
    """What was marked as read."""

    wamid: str
    typing: bool


class Window(TypedDict):
    """A service window."""

    is_open: bool
    ends_at: str | None


class Conversation(TypedDict):
    """What one person and one sender have with each other."""

    id: int
    sender: str
    person: str | None
    user_id: str | None
    name: str | None
    window: Window
    last_inbound_at: str | None
    started_at: str
    suppressed: str | None


class Spoken(TypedDict):
    """One line of what was said."""

    at: str
    is_inbound: bool
    kind: str
    text: str
    wamid: str | None
    content: dict[str, Any]


class Linked(TypedDict):
    """An id by which a person is known."""

    id: str
    linked_at: str
    until: str | None


class Transcript(Conversation):
    """A conversation with its last messages, the newest first."""

    free_entry_at: str | None
    free_until: str | None
    ids: list[Linked]
    messages: list[Spoken]
