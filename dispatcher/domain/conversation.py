"""A conversation: what one person and one sender have with each other.

It begins with the person's first message and has no end; what opens and closes is its service window (`window.py`).
Plain data: what news of a batch adds to it, and what people are shown of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

from dispatcher.domain.identity import Known
from dispatcher.domain.ids import ConversationId
from dispatcher.domain.webhook import Inbound
from dispatcher.domain.window import ServiceWindow

ConversationPlace: TypeAlias = tuple[datetime | None, ConversationId]
"""Where a list of conversations goes on: when the person of the last one wrote, and its number."""


@dataclass(frozen=True, slots=True)
class Heard:
    """One message, notice or call of a person, on its way into their conversation."""

    phone_number_id: str
    """Of the sender."""
    who: Known
    user_id: str | None
    name: str | None
    at: datetime
    window: ServiceWindow
    """What it opens; never open where it opens none."""
    message: Inbound | None = None
    """None for a call, which is kept elsewhere."""


@dataclass(frozen=True, slots=True)
class ConversationView:
    """A conversation as it stands."""

    id: ConversationId
    sender: str
    """Its name."""
    person: str | None
    """E.164; None where only a user id is known."""
    user_id: str | None
    name: str | None
    """The person's profile name."""
    window: ServiceWindow
    last_inbound_at: datetime | None
    """When the person last wrote."""
    free_entry_at: datetime | None
    """When the person last came by an ad or a Page's button."""
    answered_at: datetime | None
    """Of our first message since then."""
    started_at: datetime
    suppressed: str | None
    """Why the person gets no campaigns; None: they may."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """One line of what was said, in either direction."""

    at: datetime
    is_inbound: bool
    kind: str
    """Meta's `type` of what was written; "template" for a campaign's message."""
    text: str
    """For people: the words, or what stands for them."""
    wamid: str | None
    content: Mapping[str, Any]
    """As Meta wrote it; empty for messages of ours."""


@dataclass(frozen=True, slots=True)
class Linked:
    """An id by which a person is known besides the number of the conversation."""

    id: str
    linked_at: datetime
    until: datetime | None
    """Of a number that was given up."""


@dataclass(frozen=True, slots=True)
class Transcript:
    """A conversation with its last messages, the newest first, and every id of its person."""

    view: ConversationView
    spoken: Sequence[Spoken]
    ids: Sequence[Linked]
