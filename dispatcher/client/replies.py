"""Calls about replies and conversations: answers to people who have written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dispatcher.client.calls import Call, Paged, create, get, given
from dispatcher.client.reply_shapes import (
    Conversation,
    ExplainedReply,
    Marked,
    QueuedReply,
    Reply,
    Transcript,
)
from dispatcher.client.shapes import MessageState

PAGE = 1_000


def say(
    person: str,
    content: Mapping[str, Any] | str,
    *,
    sender: str,
    context: str | None = None,
    key: str | None = None,
    once: str | None = None,
) -> Call[QueuedReply]:
    """Answer a person, by number or user id. Refused where that may not be; `kind` tells why, such as "window_closed".

    content: a text, or what the API takes: `{"type": "image", "source": "https://…"}`.
    context: the wamid of the message that it answers.
    key: a name for this reply, under which it is said once, whichever key of the API asks and however much later.
    once: a name for this call; without it, this call alone may be made again.
    """
    said = {"type": "text", "body": content} if isinstance(content, str) else dict(content)
    body = given(sender=sender, person=person, content=said, context=context, key=key)
    return create("/replies", body, once)


def show(reply_id: int) -> Call[ExplainedReply]:
    """A reply as it stands, and why."""
    return get(f"/replies/{reply_id}")


def every(
    *, sender: str | None = None, person: str | None = None, state: MessageState | None = None
) -> Paged[Reply]:
    """All replies, the newest first; of one sender, to one person of that sender, in one state."""
    return Paged(get("/replies", sender=sender, person=person, state=state, limit=PAGE))


def cancel(reply_id: int) -> Call[ExplainedReply]:
    """Give it up, unless it was handed over already."""
    return Call("POST", f"/replies/{reply_id}/cancel")


def mark_read(person: str, *, sender: str, typing: bool = False) -> Call[Marked]:
    """Show the person that what they wrote was read, and that an answer is being written."""
    return Call("POST", "/replies/read", body={"sender": sender, "person": person, "typing": typing})


def conversations(sender: str | None = None) -> Paged[Conversation]:
    """All conversations, the one in which somebody wrote last first; of one sender."""
    return Paged(get("/conversations", sender=sender, limit=PAGE))


def transcript(conversation_id: int, most: int | None = None) -> Call[Transcript]:
    """A conversation with its last messages, the newest first; at most so many."""
    return get(f"/conversations/{conversation_id}", limit=most)
