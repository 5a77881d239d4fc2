"""`dispatch up`, `worker`, `sandbox`, `migrate` and `check`: what runs, and whether the books are right."""

from __future__ import annotations

import os
import signal
import time
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from dispatcher.app import App
from dispatcher.cli.command import command, run_async
from dispatcher.cli.output import ExitCode, Output, table
from dispatcher.leash import Leash
from dispatcher.ledger.database import Database, Migration
from dispatcher.processes import (
    sandbox_command,
    start_sandbox,
    start_workers,
    worker_command,
    worker_environment,
)
from dispatcher.servers import data_dir_of, is_running, located
from dispatcher.settings import Settings

LOOK_EVERY_S = 0.2
DEFAULT_WORLD = Path("config/sandbox.toml")

Processes = Annotated[int, typer.Option("--processes", min=1, max=256, help="How many worker processes.")]
World = Annotated[
    Path | None,
    typer.Option(
        "--world", help="The sandbox's numbers and templates, as TOML; config/sandbox.toml if that is here."
    ),
]
Port = Annotated[
    int, typer.Option("--port", min=0, max=65535, help="The sandbox's port; 0 chooses a free one.")
]


class Role(StrEnum):
    """What a worker process does."""

    LANES = "lanes"
    UPKEEP = "upkeep"
    ALL = "all"


def register(root: typer.Typer) -> None:
    """Add these commands, in the order in which the help shows them."""
    command(root, "up")(up)
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
    port: Port = 0,
) -> int:
    """Run everything on this machine until Ctrl-C: servers unless configured, and workers."""
    settings = Settings.load()
    # why: without it, SIGTERM would end us at once and leave the order of stopping to chance.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    are_ours = not is_running(settings)
    with ExitStack() as running:
        # Left in reverse order: workers gracefully first, then the sandbox, the servers last.
        found = running.enter_context(located(settings))
        run_async(_migrated(found))
        sandbox_url = None
        if with_sandbox:
            simulator, sandbox_url = start_sandbox(_world(world), port)
            running.enter_context(simulator)
            found = found.model_copy(update={"graph_url": sandbox_url})
        workers = running.enter_context(start_workers(found, Role.ALL, processes))
        servers = _servers_text(settings, are_ours=are_ours)
        out.answer(
            {
                "database_url": found.database_url,
                "redis_url": found.redis_url,
                "graph_url": found.graph_url,
                "sandbox_url": sandbox_url,
                "workers": {"pid": workers.pid, "processes": processes},
            },
            f"servers:  {servers}",
            f"sends to: {found.graph_url}" + (" (the sandbox)" if sandbox_url else ""),
            f"workers:  {processes} {'process' if processes == 1 else 'processes'}",
            "",
            "in another terminal:",
            *([f"  export DISPATCHER_GRAPH_URL={sandbox_url}"] if sandbox_url else []),
            "  dispatch senders add | templates sync | send   (each explains itself with --help)",
            "Ctrl-C stops everything; campaigns go on when it is started again",
        )
        try:
            code = _watch(workers)
        except KeyboardInterrupt:
            out.note("stopping: workers finish what is on its way")
            return ExitCode.DONE
    out.note(f"the workers ended by themselves, with code {code}; everything was stopped", style="bold red")
    return ExitCode.AWAY


def _watch(workers: Leash) -> int:
    """Until the workers end by themselves; Ctrl-C and SIGTERM raise KeyboardInterrupt."""
    while (code := workers.poll()) is None:
        time.sleep(LOOK_EVERY_S)
    return code


def _servers_text(settings: Settings, *, are_ours: bool) -> str:
    if settings.database_url:
        return "as configured"
    home = data_dir_of(settings)
    return f"private ones in {home}" + ("" if are_ours else ", started by another process")


def worker(
    out: Output,
    role: Annotated[Role, typer.Option("--role", help="lanes send, upkeep mends; all does both.")] = Role.ALL,
    processes: Processes = 1,
) -> None:
    """Run workers in this process's place, against servers that run already."""
    with located(Settings.load(), start=False) as settings:
        out.errors.file.flush()
        line = worker_command(role, processes)
        os.execve(line[0], line, worker_environment(settings))  # noqa: S606 - our own program, no shell


def sandbox(out: Output, world: World = None, port: Port = 0) -> None:
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
    faults = await app.campaigns.check()
    rows = [(str(fault.campaign_id or "all"), fault.what) for fault in faults]
    out.answer(
        {"ok": not faults, "faults": faults},
        table(("campaign", "fault"), rows)
        if rows
        else "every person is in exactly one state; nothing is amiss",
    )
    return ExitCode.NO if faults else ExitCode.DONE
