"""How a function becomes a command: its signature is the command line, its docstring the help.

A coroutine gets an open `App` and the `Output`; a plain function gets the `Output` alone and opens what it needs.
Every command takes ``--json``; that it was given is known before anything is parsed (`cli/__init__.py`), so that even
wrong usage is answered in JSON.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import pwd
from collections.abc import Callable, Coroutine
from typing import Annotated, Any, TypeVar

import typer
import uvloop

from dispatcher.app import App, open_app
from dispatcher.cli.output import Interrupted, Output
from dispatcher.domain.audit import Actor, ActorKind
from dispatcher.domain.errors import BadValue
from dispatcher.ledger.audit import acting_as
from dispatcher.servers import located
from dispatcher.settings import Settings

T = TypeVar("T")
Function = TypeVar("Function", bound=Callable[..., Any])

JsonFlag = Annotated[
    bool, typer.Option("--json", help="Answer with one JSON object on standard output, errors included.")
]
LARGEST_ID = 2**63 - 1
CampaignArgument = Annotated[
    int, typer.Argument(metavar="ID", min=1, max=LARGEST_ID, help="The campaign's number.")
]


def group(name: str, help: str) -> typer.Typer:  # noqa: A002 - typer's own word
    """A family of commands; without one of them it shows its help."""
    family = typer.Typer(name=name, help=help, invoke_without_command=True, add_completion=False)
    family.callback(help=help)(help_when_alone)
    return family


def help_when_alone(ctx: typer.Context) -> None:
    """Show the help where a command is missing."""
    if ctx.invoked_subcommand is None:
        if ctx.obj.as_json:
            raise BadValue("no command was given", hint=f"try `{ctx.command_path} --help`")
        typer.echo(ctx.get_help())


def command(family: typer.Typer, name: str, **options: Any) -> Callable[[Function], Function]:
    """Register a function as a command. Its parameters after `App` and `Output` are the command's own."""

    def register(work: Function) -> Function:
        signature = inspect.signature(work, eval_str=True)
        own = [p for p in signature.parameters.values() if p.annotation not in {App, Output}]

        def run(ctx: typer.Context, as_json: bool = False, **arguments: Any) -> int:
            out: Output = ctx.obj
            try:
                if inspect.iscoroutinefunction(work):
                    code = in_app(lambda app: work(app, out, **arguments))
                else:
                    code = work(out, **arguments)
            except KeyboardInterrupt:
                raise Interrupted("interrupted") from None
            return int(code or 0)

        shown = [
            inspect.Parameter("ctx", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context),
            *(p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own),
            inspect.Parameter("as_json", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=JsonFlag),
        ]
        run.__signature__ = inspect.Signature(shown)  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in shown}
        family.command(
            name, help=inspect.cleandoc(options.pop("help", None) or work.__doc__ or ""), **options
        )(run)
        return work

    return register


def in_app(work: Callable[[App], Coroutine[Any, Any, T]]) -> T:
    """Find or start the servers, open the house, do the work, close everything again."""
    with located(Settings.load()) as settings:
        return run_async(_opened(settings, work))


def run_async(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end; Ctrl-C cancels the work, which may clean up, and raises KeyboardInterrupt."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


async def _opened(settings: Settings, work: Callable[[App], Coroutine[Any, Any, T]]) -> T:
    async with open_app(settings) as app:
        with acting_as(_operator()):
            return await work(app)


def _operator() -> Actor:
    """Who types, as the audit log names them."""
    try:
        return Actor(ActorKind.COMMAND, pwd.getpwuid(os.getuid()).pw_name)
    except KeyError:  # a user without a name, as in many containers
        return Actor(ActorKind.COMMAND, str(os.getuid()))
