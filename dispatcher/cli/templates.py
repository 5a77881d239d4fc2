"""`dispatch templates …`: what may be sent, read from the accounts and kept in the ledger.

Campaigns are checked against what is kept, so that a wrong parameter is found before anything starts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import typer

from dispatcher.app import App
from dispatcher.cli.command import command, group
from dispatcher.cli.output import ExitCode, Output, table
from dispatcher.cli.shapes import clock_text
from dispatcher.domain.errors import BadValue, ChannelRefused, ChannelUnavailable, DispatcherError
from dispatcher.domain.gate import sender_hold
from dispatcher.domain.sender import Sender
from dispatcher.domain.template import Template

family = group("templates", "What may be sent: templates of the senders' accounts.")

Known = Mapping[tuple[str, str], Template]
"""By name and language."""


@dataclass(frozen=True, slots=True)
class Synced:
    """What reading an account has changed."""

    account: str
    sender: str
    templates: int = 0
    added: int = 0
    changed: int = 0
    removed: int = 0
    error: str | None = None

    @classmethod
    def of(cls, sender: Sender, before: Known, after: Known) -> Synced:
        """The difference of what is known."""
        return cls(
            account=sender.waba_id,
            sender=sender.name,
            templates=len(after),
            added=len(after.keys() - before.keys()),
            changed=sum(before[key] != after[key] for key in before.keys() & after.keys()),
            removed=len(before.keys() - after.keys()),
        )


@command(family, "sync")
async def sync(
    app: App,
    out: Output,
    sender: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="SENDER", help="Whose account; without it every account, by one sender each."
        ),
    ] = None,
) -> int:
    """Read the templates of the accounts anew; holds because of templates are looked at again."""
    chosen = (
        [await app.senders.named(sender)] if sender is not None else _one_per_account(await app.senders.all())
    )
    if not chosen:
        raise BadValue(
            "there are no senders, so no account is known", hint="`dispatch senders add` comes first"
        )
    results = []
    for one in chosen:
        try:
            results.append(await _sync(app, one))
        except (BadValue, ChannelRefused, ChannelUnavailable) as error:
            # why: an account with an expired token must not keep the others from being read.
            if len(chosen) == 1:
                raise
            results.append(_failed(one, error))
    columns = ("account", "read by", "templates", "added", "changed", "removed", "error")
    rows = [(r.account, r.sender, r.templates, r.added, r.changed, r.removed, r.error) for r in results]
    out.answer({"accounts": results}, table(columns, rows))
    return ExitCode.AWAY if any(result.error for result in results) else ExitCode.DONE


async def _sync(app: App, sender: Sender) -> Synced:
    before = await _known(app, sender.waba_id)
    await app.senders.sync_templates(sender.name)
    return Synced.of(sender, before, await _known(app, sender.waba_id))


def _failed(sender: Sender, error: DispatcherError) -> Synced:
    return Synced(sender.waba_id, sender.name, error=str(error))


async def _known(app: App, account: str) -> Known:
    return {(t.name, t.language): t for waba_id, t, _ in await app.senders.templates() if waba_id == account}


def _one_per_account(senders: Sequence[Sender]) -> list[Sender]:
    """The first sender of each account, preferably one that may send: its token is the likeliest to be valid."""
    chosen: dict[str, Sender] = {}
    for sender in sorted(senders, key=lambda sender: sender_hold(sender) is not None):
        chosen.setdefault(sender.waba_id, sender)
    return list(chosen.values())


@command(family, "list")
async def list_templates(app: App, out: Output) -> None:
    """All templates that are known, and the slots a campaign has to fill."""
    known = await app.senders.templates()
    columns = ("account", "name", "language", "category", "status", "can be sent", "slots", "read")
    rows = [
        (account, t.name, t.language, t.category, t.status, _sendable(t), _slots(t), clock_text(read_at))
        for account, t, read_at in known
    ]
    shapes = [
        {
            "account": account,
            "name": t.name,
            "language": t.language,
            "category": t.category,
            "status": t.status,
            "is_sendable": t.is_sendable,
            "unsupported": t.unsupported,
            "slots": [
                {"path": s.path, "kind": s.kind, "required": s.required, "max_chars": s.max_chars}
                for s in t.slots
            ],
            "read_at": read_at,
        }
        for account, t, read_at in known
    ]
    out.answer(
        {"templates": shapes},
        table(columns, rows) if rows else "no templates are known; `dispatch templates sync` reads them",
    )


def _sendable(template: Template) -> str:
    if template.is_sendable:
        return "yes"
    return "no: " + ("; ".join(template.unsupported) or str(template.status))


def _slots(template: Template) -> str:
    return ", ".join(slot.path if slot.required else f"({slot.path})" for slot in template.slots)
