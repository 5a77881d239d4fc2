"""`dispatch conversations …`: what people wrote to us, whether they may be answered freely, and by which ids they are known."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.text import Text

from dispatcher.app import App
from dispatcher.cli.command import LARGEST_ID, command, group
from dispatcher.cli.output import Output, table
from dispatcher.cli.people import key_of
from dispatcher.cli.shapes import clock_text
from dispatcher.domain.conversation import ConversationView, Transcript
from dispatcher.domain.ids import ConversationId
from dispatcher.domain.window import ANSWER_WITHIN, free_until

family = group("conversations", "What people wrote to senders, and until when they may be answered freely.")

Limit = Annotated[int, typer.Option("--limit", min=1, max=10_000, help="How many to show.")]


@command(family, "list")
async def list_conversations(
    app: App,
    out: Output,
    sender: Annotated[str | None, typer.Option("--from", help="Of one sender only.")] = None,
    person: Annotated[
        str | None, typer.Option("--with", help="Of one person, by +NUMBER or user id.")
    ] = None,
    only_open: Annotated[
        bool, typer.Option("--open", help="Only those in which a reply is allowed now.")
    ] = False,
    limit: Limit = 50,
) -> None:
    """Conversations, the one in which somebody wrote last first."""
    if sender is not None:
        await app.senders.named(sender)
    key = None if person is None else key_of(person)
    views = await app.conversations.list(limit, sender=sender, only_open=only_open, person=key)
    now = datetime.now(UTC)
    rows = [
        (
            str(one.id),
            one.person or one.user_id,
            one.name,
            one.sender,
            clock_text(one.last_inbound_at),
            window_text(one, now),
            one.suppressed,
        )
        for one in views
    ]
    out.answer(
        {"conversations": [conversation_shape(one, now) for one in views]},
        table(("id", "person", "name", "sender", "last wrote", "window", "suppressed"), rows)
        if rows
        else "nobody has written",
    )


@command(family, "show")
async def show(
    app: App,
    out: Output,
    number: Annotated[
        int, typer.Argument(metavar="ID", min=1, max=LARGEST_ID, help="The conversation's number.")
    ],
    limit: Limit = 20,
) -> None:
    """One conversation: its window, its last messages in both directions, and every id of its person."""
    transcript = await app.conversations.transcript(ConversationId(number), limit)
    now = datetime.now(UTC)
    spoken = [
        (clock_text(one.at), "person" if one.is_inbound else "we", one.text)
        for one in reversed(transcript.spoken)
    ]
    out.answer(
        {
            **conversation_shape(transcript.view, now),
            "ids": [{"id": one.id, "linked_at": one.linked_at, "until": one.until} for one in transcript.ids],
            "messages": [
                {
                    "at": one.at,
                    "from": "person" if one.is_inbound else "sender",
                    "kind": one.kind,
                    "text": one.text,
                    "wamid": one.wamid,
                    "content": one.content or None,
                }
                for one in transcript.spoken
            ],
        },
        table(("", ""), _facts(transcript, now)),
        Text(""),
        table(("at", "from", "said"), spoken) if spoken else "nothing was said",
    )


def conversation_shape(view: ConversationView, now: datetime) -> dict[str, Any]:
    """What ``--json`` shows of a conversation."""
    return {
        "id": view.id,
        "sender": view.sender,
        "person": view.person,
        "user_id": view.user_id,
        "name": view.name,
        "window": {"open": view.window.is_open(now), "ends_at": view.window.ends_at},
        "last_inbound_at": view.last_inbound_at,
        "started_at": view.started_at,
        "free_entry_at": view.free_entry_at,
        "free_until": _free_until(view),
        "suppressed": view.suppressed,
    }


def window_text(view: ConversationView, now: datetime) -> str:
    """Open until when, or closed since when."""
    ends_at = view.window.ends_at
    if ends_at is None:
        return "never opened"
    return (
        f"open until {clock_text(ends_at)}"
        if view.window.is_open(now)
        else f"closed since {clock_text(ends_at)}"
    )


def _free_until(view: ConversationView) -> datetime | None:
    return view.free_entry_at and free_until(view.free_entry_at, view.answered_at)


def _facts(transcript: Transcript, now: datetime) -> list[tuple[str, str | None]]:
    view = transcript.view
    ids = [
        f"{one.id}, given up {clock_text(one.until)}" if one.until else one.id
        for one in transcript.ids
        if one.id != view.user_id
    ]
    facts = [
        ("person", ", ".join(filter(None, (view.person, view.user_id, view.name)))),
        ("also known as", ", ".join(ids)),
        ("sender", view.sender),
        ("window", window_text(view, now) + ("" if view.window.is_open(now) else "; a template may be sent")),
        ("suppressed", view.suppressed or ""),
    ]
    if view.free_entry_at is not None:
        until = _free_until(view)
        came = f"came by an ad or a Page at {clock_text(view.free_entry_at)}"
        answer_by = view.free_entry_at + ANSWER_WITHIN
        if until is not None:
            came += f"; free of charge until {clock_text(until)}"
        elif view.answered_at is None and now < answer_by:
            came += f"; free of charge for 72 hours if answered before {clock_text(answer_by)}"
        facts.append(("entry", came))
    return [(name, value) for name, value in facts if value]
