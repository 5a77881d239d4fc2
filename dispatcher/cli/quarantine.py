"""`dispatch quarantine …`: webhooks, or pieces of them, that could not be used; nothing of them is lost."""

from __future__ import annotations

from typing import Annotated

import typer

from dispatcher.app import App
from dispatcher.cli.command import LARGEST_ID, command, group
from dispatcher.cli.output import ExitCode, Output, table
from dispatcher.cli.shapes import clock_text
from dispatcher.domain.errors import BadValue, NotFound

family = group("quarantine", "Webhooks that could not be used, each with the reason.")

SHOWN_CHARACTERS = 60
Ids = Annotated[
    list[int] | None, typer.Argument(metavar="[ID…]", help="Which pieces, by the numbers that `list` shows.")
]
Reason = Annotated[str | None, typer.Option("--reason", help="All pieces that were put aside for this.")]


@command(family, "list")
async def list_quarantined(
    app: App,
    out: Output,
    reason: Reason = None,
    limit: Annotated[
        int, typer.Option("--limit", min=1, max=10_000, help="How many, the newest first.")
    ] = 50,
) -> int:
    """What was put aside, why, and when it is looked at again."""
    pieces = await app.inbox.quarantined(limit, reason)
    rows = [
        (
            str(one.id),
            clock_text(one.at),
            one.piece.reason,
            one.piece.detail[:SHOWN_CHARACTERS],
            clock_text(one.piece.retry_at) or "when you replay it",
        )
        for one in pieces
    ]
    out.answer(
        {
            "quarantined": [
                {
                    "id": one.id,
                    "at": one.at,
                    "received_at": one.piece.received_at,
                    "reason": one.piece.reason,
                    "detail": one.piece.detail,
                    "retry_at": one.piece.retry_at,
                    "bytes": len(one.piece.content),
                }
                for one in pieces
            ]
        },
        table(("id", "put aside", "reason", "detail", "again"), rows) if rows else "nothing is put aside",
    )
    return ExitCode.NO if pieces else ExitCode.DONE


@command(family, "show")
async def show(
    app: App,
    out: Output,
    number: Annotated[int, typer.Argument(metavar="ID", min=1, max=LARGEST_ID, help="The piece's number.")],
) -> None:
    """One piece as it came, byte for byte where it is text."""
    piece = await app.inbox.quarantined_piece(number)
    if piece is None:
        raise NotFound(f"nothing with the number {number} is put aside")
    text = piece.piece.content.decode(errors="backslashreplace")
    out.answer({"id": piece.id, "reason": piece.piece.reason, "content": text}, text)


@command(family, "replay")
async def replay(app: App, out: Output, ids: Ids = None, reason: Reason = None) -> None:
    """Take pieces in once more, for instance after an update or when a sender was added."""
    replayed = await app.inbox.replay(_chosen(ids, reason), reason=reason)
    out.answer({"replayed": replayed}, f"{replayed:,} pieces are on their way in again")


@command(family, "discard")
async def discard(app: App, out: Output, ids: Ids = None) -> None:
    """Forget pieces for good."""
    discarded = await app.inbox.discard(_chosen(ids, None))
    out.answer({"discarded": discarded}, f"{discarded:,} pieces are forgotten")


def _chosen(ids: list[int] | None, reason: str | None) -> list[int]:
    if bool(ids) == (reason is not None):
        raise BadValue(
            "say which pieces are meant; nothing was changed",
            hint="name them by their numbers, as `dispatch quarantine list` shows them",
        )
    return ids or []
