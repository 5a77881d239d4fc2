"""`dispatch events dead …`: events that a receiver did not take in time; nothing of them is lost."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

import typer

from dispatcher.app import App
from dispatcher.cli.command import command, group
from dispatcher.cli.output import ExitCode, Output, table
from dispatcher.cli.shapes import clock_text
from dispatcher.cli.subscriptions import SubscriptionArgument
from dispatcher.domain.delivery import event_name, event_number
from dispatcher.domain.errors import BadValue
from dispatcher.domain.event import EventId, SubscriptionId

family = group("events", "Events that go out.")
dead = group("dead", "Events that nobody took in time.")
family.add_typer(dead)

Events = Annotated[
    list[str] | None, typer.Argument(metavar="[EVENT…]", help="These, by the ids that `list` shows.")
]
All = Annotated[bool, typer.Option("--all", help="All there are.")]
_TIME = {"formats": ["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]}


@command(dead, "list")
async def list_dead(
    app: App,
    out: Output,
    number: SubscriptionArgument,
    limit: Annotated[
        int, typer.Option("--limit", min=1, max=10_000, help="How many, the oldest first.")
    ] = 50,
) -> int:
    """Dead letters of a subscription, and what happened to the last attempt of each."""
    found = await app.subscriptions.dead_letters(SubscriptionId(number), EventId(0), limit)
    instance = app.subscriptions.instance
    rows = [
        (event_name(instance, each.event.id), each.event.kind, clock_text(each.event.at), each.error)
        for each in found
    ]
    out.answer(
        {
            "dead": [
                {
                    "id": event_name(instance, each.event.id),
                    "kind": each.event.kind,
                    "at": each.event.at,
                    "died_at": each.died_at,
                    "error": each.error,
                    "data": dict(each.event.body),
                }
                for each in found
            ]
        },
        table(("event", "kind", "became true", "error"), rows) if rows else "there are no dead letters",
    )
    return ExitCode.NO if found else ExitCode.DONE


@command(dead, "replay")
async def replay(
    app: App,
    out: Output,
    number: SubscriptionArgument,
    events: Events = None,
    since: Annotated[
        datetime | None, typer.Option("--since", help="All that became true since then, in UTC.", **_TIME)
    ] = None,
    everything: All = False,
) -> None:
    """Have dead letters delivered again, under their ids, before whatever else waits."""
    ids, bound = _chosen(app, events, since, is_all=everything)
    replayed = await app.subscriptions.replay(SubscriptionId(number), ids, bound)
    out.answer({"replayed": replayed}, f"{replayed:,} events are on their way again")


@command(dead, "purge")
async def purge(
    app: App,
    out: Output,
    number: SubscriptionArgument,
    events: Events = None,
    before: Annotated[
        datetime | None, typer.Option("--before", help="All that became true before then, in UTC.", **_TIME)
    ] = None,
    everything: All = False,
) -> None:
    """Forget dead letters for good."""
    ids, bound = _chosen(app, events, before, is_all=everything)
    purged = await app.subscriptions.purge(SubscriptionId(number), ids, bound)
    out.answer({"purged": purged}, f"{purged:,} events are forgotten")


def _chosen(
    app: App, events: Sequence[str] | None, bound: datetime | None, *, is_all: bool
) -> tuple[Sequence[EventId] | None, datetime | None]:
    if bool(events) + (bound is not None) + is_all != 1:
        raise BadValue(
            "say which dead letters are meant, in exactly one way; nothing was changed",
            hint="by their ids, by a time, or with --all",
        )
    numbers = [event_number(each, app.subscriptions.instance) for each in events] if events else None
    return numbers, bound.replace(tzinfo=UTC) if bound is not None else None
