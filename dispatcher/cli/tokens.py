"""Senders' access tokens on the command line: where one is, whether it can be read, and those that are sealed.

A token is named (an environment variable or a file) or read from standard input, never an argument: arguments are visible
to other users of a machine.
"""

from __future__ import annotations

import getpass
import sys
from pathlib import Path
from typing import Annotated

import typer

from dispatcher.app import App
from dispatcher.cli.command import command
from dispatcher.cli.output import Output
from dispatcher.domain.errors import BadValue
from dispatcher.domain.sender import Sender
from dispatcher.vault import Vault, new_key

TokenEnvOption = Annotated[
    str | None,
    typer.Option(
        "--token-env", metavar="VARIABLE", help="The environment variable that holds its access token."
    ),
]
TokenFileOption = Annotated[
    Path | None, typer.Option("--token-file", metavar="PATH", help="The file that holds its access token.")
]
SealTokenOption = Annotated[
    bool,
    typer.Option(
        "--seal-token",
        help="Read the access token from standard input, and keep it in the ledger, encrypted with seal_key.",
    ),
]


def register(family: typer.Typer) -> None:
    """Add what is about sealing to the family of senders."""
    command(family, "seal-key")(seal_key)
    command(family, "reseal")(reseal)


def seal_key(out: Output) -> None:
    """Write a new random key for sealing tokens. Keep it where seal_key says, and nowhere else."""
    key = new_key()
    out.answer({"key": key}, key)


async def reseal(app: App, out: Output) -> None:
    """Seal all sealed tokens, and subscriptions' secrets, anew with the present key, so that no earlier one is needed."""
    resealed = await app.senders.reseal(app.vault.reseal)
    secrets = await app.subscriptions.book.reseal(app.vault.reseal)
    out.answer(
        {"resealed": resealed, "subscriptions": secrets},
        f"{len(resealed)} tokens and the secrets of {secrets} subscriptions are sealed with the present key",
    )


def token_ref(vault: Vault, variable: str | None, file: Path | None, *, seal: bool) -> str | None:
    """Where the token is, as `Sender.token_ref` has it; None where nothing was said. Raises BadValue."""
    if (variable is not None) + (file is not None) + seal > 1:
        raise BadValue("--token-env, --token-file and --seal-token exclude each other")
    if seal:
        return vault.seal(_typed_token())
    if variable is not None:
        if not variable.isidentifier() or not variable.isascii():
            # why not repeated: somebody may have typed the token itself.
            raise BadValue(
                "--token-env takes the name of an environment variable, not the token",
                hint="letters, digits and underscores, such as SHOP_TOKEN",
            )
        return f"env:{variable}"
    return f"file:{file.absolute()}" if file is not None else None


def _typed_token() -> str:
    if sys.stdin.isatty():
        return getpass.getpass("access token: ").strip()
    return sys.stdin.readline().strip()


def token_problem(vault: Vault, sender: Sender) -> str | None:
    """Why the sender's token cannot be read here and now; the text never contains it."""
    try:
        vault.read(sender.token_ref)
    except BadValue as error:
        return str(error)
    return None


def mind_token(out: Output, vault: Vault, sender: Sender) -> None:
    """Warn where the token cannot be read here and now."""
    if problem := token_problem(vault, sender):
        out.warn(f"{problem}; workers need it when they start")
