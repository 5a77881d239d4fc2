"""`dispatch doctor`: what is configured, what is reachable, in which version, and what to do about the rest.

Looks at one thing after the other and goes on after a failure; changes nothing, except that private servers are
started for the look if none run.
"""

from __future__ import annotations

import platform
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version
from urllib.parse import urlsplit

import typer
from rich.table import Table
from rich.text import Text

from dispatcher.app import App, open_app, policy_of, redis_version
from dispatcher.channel.reachable import ask_head
from dispatcher.cli.command import command, run_async
from dispatcher.cli.output import ExitCode, Output
from dispatcher.cli.tokens import token_problem
from dispatcher.domain.errors import BadValue, ChannelUnavailable, DispatcherError
from dispatcher.domain.fence import moved_text
from dispatcher.domain.gate import sender_hold
from dispatcher.embedded import EmbeddedError
from dispatcher.ledger.database import Database
from dispatcher.servers import data_dir_of, is_running, located
from dispatcher.settings import Settings

PACKAGES = ("arq", "redis", "asyncpg", "pyreqwest", "httpx", "orjson", "uvloop", "pydantic", "typer")
"""Whose versions matter when something is odd."""
HEAD_TIMEOUT = timedelta(seconds=3)


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


_STYLES = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "bold red"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    what: str
    level: Level
    text: str
    advice: str = ""


def register(root: typer.Typer) -> None:
    """Add the command."""
    command(root, "doctor")(doctor)


def doctor(out: Output) -> int:
    """Look whether everything is in place, and say what to do where it is not. Exit code 1 if something fails."""
    settings = Settings.load()
    findings = [*_versions(), _servers(settings)]
    try:
        with located(settings) as found:
            findings += run_async(_collect(found))
    except (EmbeddedError, BadValue) as error:
        findings.append(_failed("servers", error))
    is_well = all(finding.level is not Level.FAIL for finding in findings)
    out.answer(
        {
            "ok": is_well,
            "findings": findings,
            "settings": {
                name: {"value": value, "source": source} for name, value, source in _settings(settings)
            },
        },
        _settings_table(settings),
        "",
        _findings_table(findings),
        "",
        _summary(findings),
    )
    return ExitCode.DONE if is_well else ExitCode.NO


def _summary(findings: Sequence[Finding]) -> str:
    failed = sum(finding.level is Level.FAIL for finding in findings)
    warned = sum(finding.level is Level.WARN for finding in findings)
    return (
        f"{failed} of {len(findings)} failed, {warned} with a warning" if failed or warned else "all is well"
    )


def _versions() -> list[Finding]:
    python = Finding("python", Level.OK, f"{platform.python_implementation()} {platform.python_version()}")
    return [python, *(_package(name) for name in ("whatsapp-dispatcher", *PACKAGES))]


def _package(name: str) -> Finding:
    try:
        return Finding(name, Level.OK, version(name))
    except PackageNotFoundError:
        return Finding(name, Level.FAIL, "not installed", "install the dispatcher anew")


def _servers(settings: Settings) -> Finding:
    if settings.database_url or settings.redis_url:
        return Finding("servers", Level.OK, "as configured")
    home = data_dir_of(settings)
    if is_running(settings):
        return Finding("servers", Level.OK, f"private ones run in {home}")
    return Finding("servers", Level.OK, f"private ones in {home}, started for this look and stopped after it")


async def _collect(settings: Settings) -> list[Finding]:
    database = await _postgresql(settings)
    redis = await _redis(settings)
    findings = [*database, redis, await _graph(settings)]
    if all(finding.level is Level.OK for finding in (*database, redis)):
        findings += [finding async for finding in _house(settings)]
    return findings


async def _postgresql(settings: Settings) -> Sequence[Finding]:
    assert settings.database_url is not None
    try:
        database = await Database.open(settings.database_url, connections=1)
    except DispatcherError as error:
        return [_failed("PostgreSQL", error)]
    try:
        number = await database.version()
        missing = await database.missing_migrations()
    except DispatcherError as error:
        return [_failed("PostgreSQL", error)]
    finally:
        await database.close()
    schema = (
        Finding(
            "schema", Level.WARN, f"{len(missing)} migrations are missing", "`dispatch migrate` applies them"
        )
        if missing
        else Finding("schema", Level.OK, "up to date")
    )
    return [Finding("PostgreSQL", Level.OK, f"{number} answers"), schema]


async def _redis(settings: Settings) -> Finding:
    try:
        return Finding("Redis", Level.OK, f"{await redis_version(settings)} answers")
    except DispatcherError as error:
        return _failed("Redis", error)


async def _graph(settings: Settings) -> Finding:
    what = f"transport {settings.transport}, API {settings.graph_version}"
    try:
        status = await ask_head(settings.graph_url, HEAD_TIMEOUT)
    except ChannelUnavailable as error:
        # why no failure: campaigns can be prepared without it, and workers wait for it.
        return Finding("Meta", Level.WARN, str(error), error.hint or "")
    return Finding("Meta", Level.OK, f"{settings.graph_url} answers (HTTP {status}); {what}")


async def _house(settings: Settings) -> AsyncIterator[Finding]:
    async with open_app(settings, migrate=False) as app:
        yield await _fence(app)
        if await app.has_workers():
            yield Finding("workers", Level.OK, "a worker is alive")
        else:
            yield Finding(
                "workers",
                Level.WARN,
                "none is alive, so nothing is sent",
                "`dispatch up` or `dispatch worker`",
            )
        senders = await app.senders.all()
        if not senders:
            yield Finding("senders", Level.WARN, "there are none", "`dispatch senders add`")
        for sender in senders:
            hold = sender_hold(sender, policy_of(settings).stricter)
            if problem := token_problem(app.vault, sender):
                yield Finding(
                    f"sender {sender.name}",
                    Level.WARN,
                    problem,
                    "set it where the workers are started, and here",
                )
            elif hold is not None:
                yield Finding(
                    f"sender {sender.name}", Level.WARN, f"may not send: {hold}", "see `senders show`"
                )
            else:
                yield Finding(f"sender {sender.name}", Level.OK, "its token can be read, it may send")


async def _fence(app: App) -> Finding:
    fence = await app.fence.state()
    if fence.is_up:
        return Finding(
            "fence",
            Level.FAIL,
            f"nothing is sent: the ledger has {moved_text(fence.moved)}",
            "`dispatch fence show`, then `dispatch fence confirm` where this is the ledger that shall send",
        )
    if fence.unread:
        text = f"down; the ledger's {' and '.join(fence.unread)} cannot be read, and a change there would not be seen"
        return Finding("fence", Level.OK, text, "docs/fencing.md says which right is missing")
    return Finding("fence", Level.OK, "down: the ledger is where it was confirmed to be")


def _failed(what: str, error: Exception) -> Finding:
    return Finding(what, Level.FAIL, str(error), getattr(error, "hint", None) or "")


def _settings(settings: Settings) -> list[tuple[str, object, str]]:
    """Name, value, source; passwords in addresses are hidden."""
    sources: Mapping[str, str] = settings.sources()
    values = settings.model_dump(mode="json")
    return [
        (name, _hidden(value) if name.endswith("_url") and isinstance(value, str) else value, sources[name])
        for name, value in values.items()
    ]


def _hidden(url: str) -> str:
    parts = urlsplit(url)
    if parts.password is None:
        return url
    return parts._replace(netloc=parts.netloc.replace(f":{parts.password}@", ":…@", 1)).geturl()


def _settings_table(settings: Settings) -> Table:
    shown = Table("setting", "value", "source", box=None, pad_edge=False, header_style="bold")
    for name, value, source in _settings(settings):
        text = ", ".join(sorted(value)) if isinstance(value, list) else str(value)
        shown.add_row(name, text, Text(source, "" if source == "default" else "cyan"))
    return shown


def _findings_table(findings: Sequence[Finding]) -> Table:
    shown = Table("", "", "what was found", "what to do", box=None, pad_edge=False, header_style="bold")
    for finding in findings:
        level = Text(finding.level, _STYLES[finding.level])
        shown.add_row(level, finding.what, finding.text, finding.advice)
    return shown
