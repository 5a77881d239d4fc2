"""`dispatch archive`: which old campaigns' people may be dropped, and the order to do it."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from typing import Annotated

import typer

from dispatcher.app import App
from dispatcher.cli.command import command
from dispatcher.cli.output import Output, table
from dispatcher.cli.shapes import Shape, clock_text
from dispatcher.domain.archive import KEEP_AT_LEAST
from dispatcher.domain.errors import BadValue
from dispatcher.engine.archive import Verdict


def register(root: typer.Typer) -> None:
    """Add the command."""
    command(root, "archive")(archive)


async def archive(
    app: App,
    out: Output,
    now: Annotated[
        bool, typer.Option("--now", help="Drop what may go; without it nothing is changed.")
    ] = False,
    keep_days: Annotated[
        int | None,
        typer.Option(
            "--keep-days",
            min=KEEP_AT_LEAST.days,
            max=36_500,
            help="How long after their end; without it the setting keep_campaigns_days.",
        ),
    ] = None,
) -> None:
    """Show which old campaigns' people may be dropped, and what keeps the others. Counts and reports always stay."""
    keep = app.archive.keeping.people if keep_days is None else timedelta(days=keep_days)
    if keep is None:
        raise BadValue(
            "nothing says how long people are kept; nothing was dropped",
            hint="give --keep-days, or set keep_campaigns_days and upkeep does it by itself",
        )
    verdicts = await (app.archive.drop_all(keep) if now else app.archive.look(keep))
    done = "dropped" if now else "may go"
    rows = [
        (
            f"{partition.first}-{partition.last}",
            partition.campaigns,
            partition.people,
            f"{partition.size_bytes / 2**20:,.1f} MB",
            clock_text(partition.ended_at),
            ", ".join(kept) or done,
        )
        for partition, kept in verdicts
    ]
    out.answer(
        {"now": now, "keep_days": keep.days, "partitions": [_shape(verdict) for verdict in verdicts]},
        table(("campaigns", "of them", "people", "size", "ended", "people are"), rows)
        if rows
        else "all campaigns lie in the present partition; the next begins when that is `partition_days` old",
    )


def _shape(verdict: Verdict) -> Shape:
    partition, kept = verdict
    return {**asdict(partition), "kept_because": kept}
