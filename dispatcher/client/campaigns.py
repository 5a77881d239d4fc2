"""Calls about campaigns: each function tells what is asked; a client makes the call."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from dispatcher.client.calls import Call, Paged, Streamed, create, get, given
from dispatcher.client.people import Content, Progress
from dispatcher.client.shapes import (
    Campaign,
    CampaignDetail,
    CampaignState,
    ExplainedMessage,
    Explanation,
    ExportedRow,
    Message,
    MessageState,
    RejectedRow,
    Stopped,
    UnsurePolicy,
    Upload,
)

PAGE = 1_000


def order(
    name: str,
    *,
    template: str,
    language: str,
    senders: Sequence[str],
    mapping: Mapping[str, Mapping[str, str]] | None = None,
    columns: Sequence[str] | None = None,
    weight: int | None = None,
    priority: int | None = None,
    deadline: datetime | None = None,
    unsure_policy: UnsurePolicy | None = None,
    metadata: Mapping[str, str] | None = None,
    once: str | None = None,
) -> Call[CampaignDetail]:
    """Create a draft without people.

    mapping: what fills each slot: `{"body.1": {"column": "first_name"}, "body.2": {"text": "20%"}}`.
    once: a name for this call, so that it may be made again, by another process too; without it, again by this call alone.
    """
    body = given(
        name=name,
        template=template,
        language=language,
        senders=list(senders),
        mapping=mapping,
        columns=columns,
        weight=weight,
        priority=priority,
        deadline=deadline.isoformat() if deadline is not None else None,
        unsure_policy=unsure_policy,
        metadata=metadata,
    )
    return create("/campaigns", body, once)


def add_people(
    campaign_id: int,
    people: Iterable[Mapping[str, object]],
    *,
    region: str | None = None,
    phone_column: str | None = None,
    progress: Progress | None = None,
    once: str | None = None,
) -> Call[Upload]:
    """Add any number of people to a draft, all or none, in constant memory.

    people: a mapping for each, with the number under "phone", or `phone_column`, and a text for each column.
    progress: told how many bytes are sent, and of how many.
    """
    content = Content(people, progress)
    params = given(region=region, phone_column=phone_column)
    path = f"/campaigns/{campaign_id}/people/stream"
    return create(path, None, once, params=params, content=content)


def add_page(
    campaign_id: int,
    people: Sequence[Mapping[str, object]],
    *,
    region: str | None = None,
    phone_column: str | None = None,
    once: str | None = None,
) -> Call[Upload]:
    """Add up to 10,000 people to a draft, in one body."""
    params = given(region=region, phone_column=phone_column)
    return create(f"/campaigns/{campaign_id}/people", {"people": list(people)}, once, params=params)


def show(campaign_id: int) -> Call[CampaignDetail]:
    """A campaign as it stands."""
    return get(f"/campaigns/{campaign_id}")


def start(campaign_id: int) -> Call[CampaignDetail]:
    """Let it go."""
    return Call("POST", f"/campaigns/{campaign_id}/start")


def pause(campaign_id: int) -> Call[Stopped]:
    """Stop posting, within a second."""
    return Call("POST", f"/campaigns/{campaign_id}/pause")


def resume(campaign_id: int) -> Call[CampaignDetail]:
    """Go on after a pause."""
    return Call("POST", f"/campaigns/{campaign_id}/resume")


def cancel(campaign_id: int) -> Call[Stopped]:
    """Stop for good."""
    return Call("POST", f"/campaigns/{campaign_id}/cancel")


def explain(campaign_id: int) -> Call[Explanation]:
    """Why it is where it is."""
    return get(f"/campaigns/{campaign_id}/explanation")


def every(state: CampaignState | None = None) -> Paged[Campaign]:
    """All campaigns, the newest first."""
    return Paged(get("/campaigns", state=state, limit=PAGE))


def messages(campaign_id: int, state: MessageState | None = None) -> Paged[Message]:
    """Its messages, of one state or of all."""
    return Paged(get(f"/campaigns/{campaign_id}/messages", state=state, limit=PAGE))


def message_to(campaign_id: int, person: str) -> Call[ExplainedMessage]:
    """The message to one person, and why it is where it is."""
    return get(f"/campaigns/{campaign_id}/messages/to", person=person)


def rejected(campaign_id: int) -> Paged[RejectedRow]:
    """Rows that became no message."""
    return Paged(get(f"/campaigns/{campaign_id}/rejected", limit=PAGE))


def export(campaign_id: int) -> Streamed[ExportedRow]:
    """Everybody and every rejected row, as they come."""
    return Streamed(get(f"/campaigns/{campaign_id}/export", format="ndjson"), _row)


def progress(campaign_id: int) -> Streamed[CampaignDetail]:
    """How it stands, whenever that changes, until it is over; after ten minutes, ask again."""
    return Streamed(get(f"/campaigns/{campaign_id}/events"), _event)


def _row(line: str) -> ExportedRow | None:
    row: ExportedRow | None = json.loads(line) if line else None
    return row


def _event(line: str) -> CampaignDetail | None:
    told: CampaignDetail | None = json.loads(line[6:]) if line.startswith("data: ") else None
    return told
