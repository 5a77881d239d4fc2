"""`dispatch fence …`: whether this ledger is where it was confirmed to be, and the order that it shall send.

The questions are asked here; what confirming changes is told in `engine/fence.py`.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.table import Table

from dispatcher.app import App
from dispatcher.cli.command import command, group
from dispatcher.cli.output import ExitCode, Interrupted, Output, table
from dispatcher.cli.shapes import Shape, clock_text
from dispatcher.domain.errors import BadValue
from dispatcher.domain.fence import Confirmed, Fence, PlacePart, moved_text

family = group(
    "fence", "Whether this ledger may send: a copy or a restored backup may not before it is confirmed."
)

_CONSEQUENCES = (
    "running campaigns will be paused, and messages that were being sent become unsure, "
    "because people who were messaged since then look unsent here"
)


@command(family, "show")
async def show(app: App, out: Output) -> int:
    """Where the ledger was confirmed to be, and where it is. Exit code 1 if these differ."""
    fence = await app.fence.state()
    out.answer(_fence_shape(fence), _place_table(fence), "", *_advice(fence))
    return ExitCode.NO if fence.is_up else ExitCode.DONE


@command(family, "confirm")
async def confirm(
    app: App,
    out: Output,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    keep_running: Annotated[
        bool,
        typer.Option(
            "--keep-running",
            help="Nothing was lost: a planned move, or a standby that had everything. Campaigns go on.",
        ),
    ] = False,
    restored: Annotated[
        bool,
        typer.Option(
            "--restored",
            help="Nothing seems to differ, and yet a snapshot was brought back in the same place.",
        ),
    ] = False,
) -> int:
    """This is the ledger that shall send. Running campaigns are paused, for their owners to look at and resume."""
    if restored and keep_running:
        raise BadValue("--restored says that something was lost, --keep-running that nothing was")
    fence = await app.fence.state()
    if not fence.is_up and not restored:
        out.answer(
            {**_fence_shape(fence), "confirmed_now": False},
            "the ledger is where it was confirmed to be; nothing was changed",
        )
        return ExitCode.DONE
    if not yes:
        _ask(out, fence, keep_running=keep_running)
    done = await app.fence.confirm(fence, keep_running=keep_running)
    out.answer(
        {
            **_fence_shape(await app.fence.state()),
            "confirmed_now": True,
            "paused": done.paused,
            "unsure": done.unsure,
        },
        *_told(done),
    )
    return ExitCode.DONE


async def mind_fence(app: App, out: Output) -> None:
    """Warn where nothing is sent because of the fence."""
    fence = await app.fence.state()
    if fence.is_up:
        out.warn(f"nothing is sent: the ledger has {moved_text(fence.moved)}; see `dispatch fence show`")


def _ask(out: Output, fence: Fence, *, keep_running: bool) -> None:
    if out.as_json or not sys.stdin.isatty():
        raise BadValue("nobody can be asked here, so nothing was changed", hint="say --yes")
    out.errors.print(_place_table(fence))
    out.note(
        "campaigns go on at once, as if nothing had happened"
        if keep_running
        else f"{_CONSEQUENCES}; --keep-running if nothing was lost"
    )
    out.note("no other deployment may be sending from the original of this ledger")
    if not typer.confirm("is this the ledger that shall send?", err=True):
        raise Interrupted("nothing was changed")


def _told(done: Confirmed) -> list[str]:
    told = [f"confirmed, epoch {done.epoch}"]
    if done.unsure:
        told.append(f"{done.unsure:,} messages that were being sent are unsure")
    if done.paused:
        names = ", ".join(str(campaign) for campaign in done.paused)
        told.append(f"paused, until each is resumed: campaigns {names}")
    return told


def _advice(fence: Fence) -> list[str]:
    if not fence.is_up:
        unread = [
            f"the {part} cannot be read by this role and is not compared; see docs/fencing.md"
            for part in fence.unread
        ]
        return ["the ledger is where it was confirmed to be", *unread]
    return [
        f"nothing is sent: the ledger has {moved_text(fence.moved)}",
        "a copy for tests: leave it so, or cancel its campaigns first",
        "the one ledger that shall send from now on: `dispatch fence confirm`",
        "a planned move or a fail-over that lost nothing: `dispatch fence confirm --keep-running`",
    ]


def _place_table(fence: Fence) -> Table:
    rows = [
        (part, fence.confirmed.get(part), fence.here.get(part), "differs" if part in fence.moved else "")
        for part in PlacePart
    ]
    confirmed = f"confirmed {clock_text(fence.confirmed_at) or 'at the first opening'}"
    return table(("place", confirmed, "here", ""), rows)


def _fence_shape(fence: Fence) -> Shape:
    return {
        "instance": fence.instance,
        "epoch": fence.epoch,
        "is_up": fence.is_up,
        "moved": fence.moved,
        "confirmed": fence.confirmed,
        "here": fence.here,
        "unread": fence.unread,
        "confirmed_at": fence.confirmed_at,
    }
