"""`dispatch reply` and `dispatch replies …`: answer a person, and see what became of the answers."""

from __future__ import annotations

from typing import Annotated

import typer

from dispatcher.app import App
from dispatcher.cli.campaigns import explanation_lines
from dispatcher.cli.command import LARGEST_ID, command, group
from dispatcher.cli.output import ExitCode, Output, table
from dispatcher.cli.reply_content import content_text, read_content
from dispatcher.cli.shapes import Shape, clock_text, explanation_shape
from dispatcher.domain.errors import BadValue
from dispatcher.domain.ids import MessageId
from dispatcher.domain.message import MessageState
from dispatcher.domain.queued_reply import NewReply, NotQueued, Queued, ReplyView

family = group(
    "replies", "Free-form replies to people who have written: what waits, and what became of the others."
)

Person = Annotated[
    str, typer.Argument(metavar="PERSON", help="A number with its country code, or a user id such as US.70….")
]
Sender = Annotated[
    str, typer.Option("--from", metavar="SENDER", help="The sender that the person has written to.")
]
ReplyId = Annotated[int, typer.Argument(metavar="ID", min=1, max=LARGEST_ID, help="The reply's number.")]
Media = Annotated[
    str | None, typer.Option(metavar="ID|LINK", help="The id of an upload, or an http(s) link.")
]


def register(root: typer.Typer) -> None:
    """Add `dispatch reply`, and the family beside it."""
    command(root, "reply")(reply)
    root.add_typer(family)


async def reply(
    app: App,
    out: Output,
    person: Person,
    sender: Sender,
    text: Annotated[str | None, typer.Option("--text", help="What to say; with buttons, above them.")] = None,
    preview: Annotated[bool, typer.Option("--preview", help="Show a preview of the first link.")] = False,
    image: Media = None,
    video: Media = None,
    audio: Media = None,
    document: Media = None,
    sticker: Media = None,
    caption: Annotated[
        str | None, typer.Option("--caption", help="Below an image, video or document.")
    ] = None,
    filename: Annotated[str | None, typer.Option("--filename", help="Of a document.")] = None,
    button: Annotated[
        list[str] | None, typer.Option("--button", metavar="ID=TITLE", help="A reply button; up to three.")
    ] = None,
    row: Annotated[
        list[str] | None,
        typer.Option("--row", metavar="ID=TITLE[=TEXT]", help="A choice of a list; up to ten."),
    ] = None,
    label: Annotated[
        str | None, typer.Option("--label", help="Of the button that opens the list, or the link.")
    ] = None,
    link: Annotated[str | None, typer.Option("--link", metavar="URL", help="What a button opens.")] = None,
    location: Annotated[str | None, typer.Option("--location", metavar="LAT,LON", help="In degrees.")] = None,
    name: Annotated[str | None, typer.Option("--name", help="Of the location.")] = None,
    address: Annotated[str | None, typer.Option("--address", help="Of the location.")] = None,
    contact: Annotated[
        list[str] | None, typer.Option("--contact", metavar="NAME=NUMBER", help="A card; repeat for more.")
    ] = None,
    react: Annotated[
        str | None,
        typer.Option("--react", metavar="EMOJI", help="To the message of --answer; '' takes it away."),
    ] = None,
    answer: Annotated[
        str | None, typer.Option("--answer", metavar="WAMID", help="The message that is answered.")
    ] = None,
    key: Annotated[
        str | None, typer.Option("--key", help="Repeating the command with the same key sends nothing twice.")
    ] = None,
) -> int:
    """Answer a person who has written within the last 24 hours. Exit code 1 where that may not be."""
    content = read_content(
        text=text,
        preview=preview,
        media={"image": image, "video": video, "audio": audio, "document": document, "sticker": sticker},
        caption=caption,
        filename=filename,
        buttons=button or (),
        rows=row or (),
        label=label,
        link=link,
        location=location,
        name=name,
        address=address,
        contacts=contact or (),
        react=react,
        answer=answer,
    )
    context = answer if react is None else None
    answered = await app.replies.queue(NewReply(sender, person, content, context, key))
    match answered:
        case Queued():
            waits = (
                ""
                if await app.has_reply_workers()
                else "; no reply worker runs: `dispatch up` or `dispatch worker` starts one"
            )
            out.answer(
                {"queued": True, "id": answered.id, "is_new": answered.is_new, "position": answered.position,
                 "window_ends_at": answered.window_ends_at},
                f"reply {answered.id} {'is queued' if answered.is_new else 'was queued before'}{waits}",
                f"`dispatch replies show {answered.id}` tells what became of it",
            )  # fmt: skip
            return ExitCode.DONE
        case NotQueued():
            out.answer(
                {"queued": False, "reason": answered.reason, "detail": answered.detail, "hint": answered.hint,
                 "field": answered.field, "window_closed_at": answered.window_closed_at},
                f"not sent: {answered.detail}",
                answered.hint,
            )  # fmt: skip
            return ExitCode.NO


@command(family, "list")
async def list_replies(
    app: App,
    out: Output,
    sender: Annotated[str | None, typer.Option("--from", help="Of one sender only.")] = None,
    person: Annotated[str | None, typer.Option("--to", help="To one person of that sender only.")] = None,
    state: Annotated[str | None, typer.Option("--state", help="In one state only, such as pending.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="How many to show.")] = 20,
) -> None:
    """Replies, the newest first."""
    views = await app.replies.recent(limit, sender=sender, person=person, state=_state(state))
    rows = [
        (
            str(view.id),
            view.person,
            view.sender.name,
            view.state,
            ", ".join(str(part) for part in (view.code, view.reason, view.detail) if part),
            clock_text(view.posted_at or view.queued_at),
            content_text(view.content),
        )
        for view in views
    ]
    out.answer(
        {"replies": [reply_shape(view) for view in views]},
        table(("reply", "person", "sender", "state", "why", "posted or queued", "says"), rows)
        if rows
        else "there are none",
    )


@command(family, "show")
async def show(app: App, out: Output, reply_id: ReplyId) -> None:
    """A reply, what was posted, and what came back."""
    view = await app.replies.view(MessageId(reply_id))
    facts = (
        ("reply", str(view.id)),
        ("person", view.person),
        ("sender", view.sender.name),
        ("says", content_text(view.content)),
        ("answers", view.context_wamid),
        ("state", view.state),
        ("reason", view.reason),
        ("Meta's code", str(view.code) if view.code is not None else None),
        ("detail", view.detail),
        ("attempt", str(view.attempt)),
        ("queued", clock_text(view.queued_at)),
        ("posted", clock_text(view.posted_at)),
        ("not before", clock_text(view.not_before)),
        ("window ends", clock_text(view.window_ends_at)),
        ("wamid", view.wamid),
    )
    attempts = [
        (str(a.attempt), clock_text(a.at), str(a.code) if a.code else None, a.reason, a.detail)
        for a in view.attempts
    ]
    receipts = [(str(told.attempt), told.state, told.receipt.detail) for told in view.receipts]
    out.answer(
        reply_shape(view),
        table(("", ""), facts),
        *([table(("attempt", "Meta reports", "failure"), receipts)] if receipts else []),
        *([table(("earlier attempt", "at", "code", "reason", "detail"), attempts)] if attempts else []),
    )


@command(family, "explain")
async def explain(app: App, out: Output, reply_id: ReplyId) -> None:
    """Why a reply is where it is, and what helps."""
    explanation = await app.replies.explain(await app.replies.view(MessageId(reply_id)))
    out.answer(explanation_shape(explanation), *explanation_lines(explanation))


@command(family, "cancel")
async def cancel(app: App, out: Output, reply_id: ReplyId) -> None:
    """Give up a reply that still waits; those behind it go on."""
    await app.replies.cancel(MessageId(reply_id))
    out.answer({"cancelled": reply_id}, f"reply {reply_id} will not be sent")


@command(family, "read")
async def mark_read(
    app: App,
    out: Output,
    person: Person,
    sender: Sender,
    typing: Annotated[bool, typer.Option("--typing", help="Show that an answer is being written.")] = False,
) -> None:
    """Show a person that what they wrote was read. No message is sent."""
    wamid = await app.replies.mark_read(sender, person, is_typing=typing)
    out.answer({"marked": wamid, "typing": typing}, f"{wamid} is marked as read")


def reply_shape(view: ReplyView) -> Shape:
    """A reply with its history."""
    return {
        "id": view.id,
        "sender": view.sender.name,
        "person": view.person,
        "position": view.position,
        "state": view.state,
        "reason": view.reason,
        "detail": view.detail,
        "code": view.code,
        "wamid": view.wamid,
        "attempt": view.attempt,
        "not_before": view.not_before,
        "queued_at": view.queued_at,
        "posted_at": view.posted_at,
        "window_ends_at": view.window_ends_at,
        "waits_for": view.waits_for,
        "content": dict(view.content),
        "answers": view.context_wamid,
        "key": view.key,
        "unsure_policy": view.unsure_policy,
        "attempts": view.attempts,
        "receipts": view.receipts,
    }


def _state(name: str | None) -> MessageState | None:
    if name is None:
        return None
    try:
        return MessageState(name)
    except ValueError:
        raise BadValue(f"{name!r} is no state; use one of {', '.join(MessageState)}") from None
