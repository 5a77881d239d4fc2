"""The `dispatch` command: everything that people do by hand, and scripts with ``--json``.

This file assembles the families of commands and is the one place where errors become exit codes (`output.ExitCode`).
What a command does is left to its own file; nothing here or there knows SQL, Redis or HTTP.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Annotated

import typer
from typer.main import get_command

from dispatcher.cli import (
    archive,
    audit,
    campaigns,
    conversations,
    demo,
    doctor,
    events,
    fence,
    keys,
    messages,
    orders,
    quarantine,
    replies,
    senders,
    services,
    subscriptions,
    suppressions,
    templates,
    unsure,
)
from dispatcher.cli.command import JsonFlag, help_when_alone
from dispatcher.cli.output import EXPECTED, Output

_HELP = """Sends WhatsApp campaigns: never twice, never lost, never over a limit.

A first campaign: `dispatch up` in one terminal; then `dispatch senders add`, `dispatch templates sync`
and `dispatch send` in another.
"""
_EXIT_CODES = (
    "Exit codes: 0 done; 1 done, but the answer is no (faults found, people unsure or waiting); "
    "2 wrong input, nothing was changed; 3 PostgreSQL, Redis or Meta is away; 130 interrupted."
)

root = typer.Typer(
    name="dispatch",
    help=_HELP,
    epilog=_EXIT_CODES,
    invoke_without_command=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@root.callback(help=_HELP, epilog=_EXIT_CODES)
def _dispatch(
    ctx: typer.Context,
    show_version: Annotated[bool, typer.Option("--version", help="Print the version and end.")] = False,
    as_json: JsonFlag = False,
) -> None:
    if show_version:
        number = version("whatsapp-dispatcher")
        ctx.obj.answer({"version": number}, f"dispatch {number}")
        raise typer.Exit
    help_when_alone(ctx)


# The order in which `dispatch --help` shows them.
demo.register(root)
orders.add_send(root)
root.add_typer(campaigns.family)
root.add_typer(senders.family)
root.add_typer(templates.family)
root.add_typer(messages.family)
replies.register(root)
root.add_typer(unsure.family)
root.add_typer(quarantine.family)
root.add_typer(conversations.family)
root.add_typer(suppressions.family)
root.add_typer(subscriptions.family)
root.add_typer(events.family)
root.add_typer(fence.family)
root.add_typer(keys.family)
audit.register(root)
archive.register(root)
services.register(root)
doctor.register(root)


def run(arguments: Sequence[str]) -> int:
    """Run one command line, without the program's name. Returns the exit code; see `output.ExitCode`."""
    out = Output(as_json="--json" in arguments)
    try:
        code = get_command(root).main(
            args=list(arguments), prog_name="dispatch", standalone_mode=False, obj=out
        )
    except EXPECTED as error:
        return out.fail(error)
    return int(code or 0)


def main() -> None:
    """The console script."""
    sys.exit(run(sys.argv[1:]))
