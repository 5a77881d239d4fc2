"""`dispatch audit`: who ordered what, and who was not let in."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import orjson
import typer

from dispatcher.app import App
from dispatcher.cli.command import LARGEST_ID, command
from dispatcher.cli.output import Output, table
from dispatcher.cli.shapes import clock_text
from dispatcher.domain.audit import ActorKind, AuditEntry, AuditOutcome

SHOWN_CHARACTERS = 100


def register(root: typer.Typer) -> None:
    """Add the command."""
    command(root, "audit")(audit)


async def audit(
    app: App,
    out: Output,
    limit: Annotated[
        int, typer.Option("--limit", min=1, max=10_000, help="How many entries, the newest first.")
    ] = 50,
    before: Annotated[
        int | None, typer.Option("--before", min=1, max=LARGEST_ID, help="Only entries before this one.")
    ] = None,
) -> None:
    """Show the audit log: every order with who, what, before and after; and calls that were refused."""
    entries = await app.access.audit(before, limit)
    rows = [
        (
            str(entry.id),
            clock_text(entry.last_at),
            "without a key" if entry.actor.kind is ActorKind.NOBODY else entry.actor.name,
            entry.action,
            entry.subject,
            _change(entry),
        )
        for entry in entries
    ]
    out.answer(
        {"entries": [asdict(entry) for entry in entries]},
        table(("id", "at", "who", "what", "of", "change"), rows) if rows else "nothing was ordered yet",
    )


def _change(entry: AuditEntry) -> str:
    if entry.outcome is AuditOutcome.REFUSED:
        return f"refused, {entry.times:,} times"
    sides = [orjson.dumps(side).decode()[:SHOWN_CHARACTERS] for side in (entry.before, entry.after) if side]
    return " → ".join(sides)
