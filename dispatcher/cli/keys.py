"""`dispatch keys …`: keys of the HTTP API, what each opens, and until when."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

import typer

from dispatcher.app import App
from dispatcher.cli.command import LARGEST_ID, command, group
from dispatcher.cli.output import Output, table
from dispatcher.cli.shapes import clock_text
from dispatcher.domain.access import DEFAULT_RATE, ApiKey, KeyId, Scope
from dispatcher.domain.rate import Rate

family = group("keys", "Keys of the HTTP API.")

LONGEST_DAYS = 3_650


@command(family, "create")
async def create(
    app: App,
    out: Output,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Who uses it, such as shop.")],
    scopes: Annotated[
        list[Scope], typer.Option("--scope", help="What it opens; give it several times for several.")
    ],
    rate: Annotated[
        str, typer.Option("--rate", help="Calls it may make at most, such as 100/s or 600/min.")
    ] = str(DEFAULT_RATE),
    days: Annotated[
        int | None,
        typer.Option("--days", min=1, max=LONGEST_DAYS, help="Days until it expires; without it, never."),
    ] = None,
) -> None:
    """Make a key and write it out, once: it is kept nowhere, only what is needed to recognise it."""
    expires_at = app.lane_tools.clock.now() + timedelta(days=days) if days is not None else None
    key, written = await app.access.create(name, set(scopes), rate=Rate.parse(rate), expires_at=expires_at)
    out.note(f"key {key.id} was made for {key.name}; this is the only time that it is shown:")
    out.answer({**_shape(key), "key": written}, written)


@command(family, "list")
async def list_keys(app: App, out: Output) -> None:
    """All keys, revoked and expired ones too."""
    keys = await app.access.all()
    now = app.lane_tools.clock.now()
    rows = [
        (
            str(key.id),
            key.name,
            f"dk_{key.prefix}_…",
            ", ".join(sorted(key.scopes)),
            str(key.rate),
            clock_text(key.last_used_at) or "never",
            clock_text(key.expires_at) or "never",
            key.unusable(now) or "usable",
        )
        for key in keys
    ]
    columns = ("id", "name", "key", "opens", "calls", "last used", "expires", "state")
    out.answer({"keys": [_shape(key) for key in keys]}, table(columns, rows) if rows else "there are no keys")


@command(family, "revoke")
async def revoke(
    app: App,
    out: Output,
    number: Annotated[int, typer.Argument(metavar="ID", min=1, max=LARGEST_ID, help="The key's number.")],
) -> None:
    """Let a key open nothing any more, from the next call on; there is no way back."""
    key = await app.access.revoke(KeyId(number))
    out.answer(_shape(key), f"key {key.id} ({key.name}) opens nothing any more")


def _shape(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "prefix": key.prefix,
        "scopes": sorted(key.scopes),
        "rate": str(key.rate),
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
        "last_used_at": key.last_used_at,
    }
