"""`dispatch up`, `serve`, `worker`, `sandbox`, `migrate` and `check`: what runs, and whether the books are right."""

from __future__ import annotations

import os
import signal
import time
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from dispatcher.app import App
from dispatcher.cli.command import command, run_async
from dispatcher.cli.output import ExitCode, Output, table
from dispatcher.domain.errors import BadValue
from dispatcher.leash import Leash
from dispatcher.ledger.database import Database, Migration
from dispatcher.processes import (
    api_command,
    sandbox_command,
    start_api,
    start_sandbox,
    start_workers,
    worker_command,
    worker_environment,
)
from dispatcher.rehearsal import Sandbox, believing_sandbox
from dispatcher.servers import data_dir_of, is_running, located
from dispatcher.settings import Settings

LOOK_EVERY_S = 0.2
REPLACE_AFTER_S = 1.0
"""A process that dies at once, again and again, must not keep the machine busy."""
DEFAULT_WORLD = Path("config/sandbox.toml")

Processes = Annotated[int, typer.Option("--processes", min=1, max=256, help="How many worker processes.")]
World = Annotated[
    Path | None,
    typer.Option(
        "--world", help="The sandbox's numbers and templates, as TOML; config/sandbox.toml if that is here."
    ),
]
SandboxPort = typer.Option(min=0, max=65535, help="The sandbox's port; 0 chooses a free one.")
Port = Annotated[
    int | None,
    typer.Option(
        "--port",
        min=0,
        max=65535,
        help="Where webhooks come in; 0 chooses a free one, the setting listen_port otherwise.",
    ),
]


class Role(StrEnum):
    """What a worker process does."""

    LANES = "lanes"
    UPKEEP = "upkeep"
    INTAKE = "intake"
    REPLIES = "replies"
    EVENTS = "events"
    ALL = "all"


def register(root: typer.Typer) -> None:
    """Add these commands, in the order in which the help shows them."""
    command(root, "up")(up)
    command(root, "serve")(serve)
    command(root, "worker")(worker)
    command(root, "sandbox")(sandbox)
    command(root, "migrate")(migrate)
    command(root, "check")(check)


def up(
    out: Output,
    processes: Processes = 1,
    with_sandbox: Annotated[
        bool, typer.Option("--with-sandbox", help="Run the sandbox too, and send there instead of to Meta.")
    ] = False,
    world: World = None,
    sandbox_port: Annotated[int, SandboxPort] = 0,
    port: Port = None,
    with_api: Annotated[
        bool, typer.Option("--api/--no-api", help="Whether to take webhooks in, over HTTP.")
    ] = True,
) -> int:
    """Run everything on this machine until Ctrl-C: servers unless configured, workers, and HTTP for webhooks."""
    settings = Settings.load()
    # why: without it, SIGTERM would end us at once and leave the order of stopping to chance.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    are_ours = not is_running(settings)
    with ExitStack() as running:
        # Left in reverse order: HTTP first, then workers gracefully, then the sandbox, the servers last.
        found = running.enter_context(located(settings))
        run_async(_migrated(found))
        sandbox_url = None
        if with_sandbox:
            simulator, sandbox_url = start_sandbox(_world(world), sandbox_port)
            running.enter_context(simulator)
            found = believing_sandbox(
                found.model_copy(update={"graph_url": sandbox_url}), data_dir_of(settings)
            )
        workers = running.enter_context(start_workers(found, Role.ALL, processes))
        api = _Api(found, port) if with_api else None
        if api is not None:
            running.callback(api.stop)
            if sandbox_url is not None:
                Sandbox(sandbox_url).reports_to(api.url)
        servers = _servers_text(settings, are_ours=are_ours)
        out.answer(
            {
                "database_url": found.database_url,
                "redis_url": found.redis_url,
                "graph_url": found.graph_url,
                "sandbox_url": sandbox_url,
                "api_url": api.url if api else None,
                "workers": {"pid": workers.pid, "processes": processes},
            },
            f"servers:  {servers}",
            f"sends to: {found.graph_url}" + (" (the sandbox)" if sandbox_url else ""),
            f"workers:  {processes} {'process' if processes == 1 else 'processes'}",
            *([f"webhooks: {api.url}/webhooks/whatsapp"] if api else []),
            "",
            "in another terminal:",
            *([f"  export DISPATCHER_GRAPH_URL={sandbox_url}"] if sandbox_url else []),
            "  dispatch senders add | templates sync | send   (each explains itself with --help)",
            "Ctrl-C stops everything; campaigns go on when it is started again",
        )
        try:
            code = _watch(workers, api, out)
        except KeyboardInterrupt:
            out.note("stopping: workers finish what is on its way")
            return ExitCode.DONE
    out.note(f"the workers ended by themselves, with code {code}; everything was stopped", style="bold red")
    return ExitCode.AWAY


class _Api:
    """The HTTP process, and another in its place should it die."""

    def __init__(self, settings: Settings, port: int | None) -> None:
        self._settings = settings
        self._leash, self.url = start_api(settings, port)
        self._replace_at_s: float | None = None

    def look(self, out: Output) -> None:
        """Replace it a moment after it died, at the same address; call this again and again."""
        code = self._leash.poll()
        if code is None:
            return
        if self._replace_at_s is None:
            out.note(f"the HTTP process ended with code {code} and is started again", style="bold red")
            self._replace_at_s = time.monotonic() + REPLACE_AFTER_S
        elif time.monotonic() >= self._replace_at_s:
            try:
                self._leash, self.url = start_api(self._settings, urlsplit(self.url).port)
                self._replace_at_s = None
            except BadValue as error:
                out.note(str(error), style="bold red")
                self._replace_at_s = time.monotonic() + REPLACE_AFTER_S

    def stop(self) -> None:
        """End it gracefully."""
        self._leash.stop()


def _watch(workers: Leash, api: _Api | None, out: Output) -> int:
    """Until the workers end by themselves; Ctrl-C and SIGTERM raise KeyboardInterrupt."""
    while (code := workers.poll()) is None:
        if api is not None:
            api.look(out)
        time.sleep(LOOK_EVERY_S)
    return code


def _servers_text(settings: Settings, *, are_ours: bool) -> str:
    if settings.database_url:
        return "as configured"
    home = data_dir_of(settings)
    return f"private ones in {home}" + ("" if are_ours else ", started by another process")


def serve(
    out: Output,
    host: Annotated[
        str | None,
        typer.Option("--host", help="The address to listen on; the setting listen_host otherwise."),
    ] = None,
    port: Port = None,
) -> None:
    """Run HTTP in this process's place: webhooks, /livez and /readyz; against servers that run already.

    It prints its address as one line of JSON when it is ready.
    """
    with located(Settings.load(), start=False) as settings:
        out.errors.file.flush()
        line = api_command(host, port)
        os.execve(line[0], line, worker_environment(settings))  # noqa: S606 - our own program, no shell


def worker(
    out: Output,
    role: Annotated[
        Role,
        typer.Option(
            "--role",
            help="lanes send campaigns, replies answer, intake takes webhooks in, events tells others, upkeep mends; all does all.",
        ),
    ] = Role.ALL,
    processes: Processes = 1,
) -> None:
    """Run workers in this process's place, against servers that run already."""
    with located(Settings.load(), start=False) as settings:
        out.errors.file.flush()
        line = worker_command(role, processes)
        os.execve(line[0], line, worker_environment(settings))  # noqa: S606 - our own program, no shell


def sandbox(out: Output, world: World = None, port: Annotated[int, SandboxPort] = 0) -> None:
    """Run the sandbox alone, in this process's place: a simulator of Meta that keeps limits and a record.

    It prints its address as one line of JSON when it is ready.
    """
    out.errors.file.flush()
    line = sandbox_command(_world(world), port)
    os.execv(line[0], line)  # noqa: S606 - our own program, no shell


def _world(world: Path | None) -> Path | None:
    return world or (DEFAULT_WORLD if DEFAULT_WORLD.is_file() else None)


def migrate(out: Output) -> None:
    """Bring the ledger's schema up to date; other commands do so too when they start."""
    with located(Settings.load()) as settings:
        applied = run_async(_migrated(settings))
    names = [f"{migration.number:04d}_{migration.name}" for migration in applied]
    out.answer(
        {"applied": names}, *(f"applied {name}" for name in names), *([] if names else ["up to date already"])
    )


async def _migrated(settings: Settings) -> list[Migration]:
    assert settings.database_url is not None
    database = await Database.open(settings.database_url, connections=2)
    try:
        return list(await database.migrate())
    finally:
        await database.close()


async def check(app: App, out: Output) -> int:
    """Prove the arithmetic of every campaign from its messages. Reads all of them; exit code 1 with faults."""
    faults = [*await app.campaigns.check(), *await app.replies.check()]
    rows = [(str(fault.campaign_id or "all"), fault.what) for fault in faults]
    out.answer(
        {"ok": not faults, "faults": faults},
        table(("campaign", "fault"), rows)
        if rows
        else "every person is in exactly one state; nothing is amiss",
    )
    return ExitCode.NO if faults else ExitCode.DONE
