"""`dispatch suppressions …`: people who get nothing from us, whatever campaign they are in.

The list is applied when an audience is imported and again at every claim, so an entry binds at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from dispatcher.app import App
from dispatcher.cli.command import command, group, in_app
from dispatcher.cli.output import ExitCode, Output, table
from dispatcher.cli.people import key_of, people_of
from dispatcher.cli.shapes import clock_text
from dispatcher.domain.audience import Person, Rejected, RejectReason, Sieve
from dispatcher.domain.errors import BadValue
from dispatcher.domain.ids import PersonKey
from dispatcher.engine.audience import open_audience
from dispatcher.settings import Settings

family = group("suppressions", "People who get nothing from us.")

Numbers = Annotated[
    list[str],
    typer.Argument(metavar="+NUMBER…", help="Phone numbers with + and country code, or user ids."),
]
Reason = Annotated[str, typer.Option("--reason", help="Why; shown wherever the person is left out.")]


@command(family, "add")
async def add(app: App, out: Output, numbers: Numbers, reason: Reason = "asked_not_to") -> None:
    """Put people on the list; it binds at once, also in campaigns that run."""
    people = people_of(numbers)
    new = await app.senders.suppress(people, reason, "command line")
    out.answer(
        {"given": len(people), "new": new},
        f"{new:,} people were put on the list, {len(people) - new:,} were on it already",
    )


@command(family, "remove")
async def remove(app: App, out: Output, numbers: Numbers) -> None:
    """Take people off the list, whatever put them there; messages that were left out because of it stay so."""
    keys = [key for key, _ in people_of(numbers)]
    removed = await app.senders.unsuppress(keys)
    out.answer(
        {"given": len(keys), "removed": removed},
        f"{removed:,} people were taken off the list, {len(keys) - removed:,} were not on it",
    )


@command(family, "list")
async def list_suppressions(app: App, out: Output) -> None:
    """Everybody on the list, the oldest entry first."""
    people = await app.senders.suppressed()
    rows = [(one.person, one.reason, one.source, clock_text(one.at), clock_text(one.until)) for one in people]
    out.answer(
        {"suppressions": people},
        table(("person", "reason", "source", "since", "until"), rows) if rows else "the list is empty",
    )


@command(family, "history")
async def history(
    app: App,
    out: Output,
    person: Annotated[str, typer.Argument(metavar="+NUMBER", help="A phone number, or a user id.")],
) -> None:
    """When and how a person opted out or in, or was put on the list or taken off it."""
    entries = await app.senders.suppression_history(key_of(person))
    rows = [(clock_text(one.at), one.change, one.reason, one.source) for one in entries]
    out.answer(
        {"history": entries},
        table(("at", "what", "reason", "source"), rows) if rows else "nothing is known of this person",
    )


@command(family, "import")
def import_file(
    out: Output,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A .csv or .ndjson file, also with .gz.")],
    reason: Reason = "imported",
    phone_column: Annotated[
        str | None,
        typer.Option("--phone-column", help="The column of numbers, where its name does not tell."),
    ] = None,
    region: Annotated[
        str | None, typer.Option("--region", help="Country of numbers without a country code, such as GB.")
    ] = None,
    encoding: Annotated[
        str | None, typer.Option("--encoding", help="How the file is encoded, unless UTF-8.")
    ] = None,
    delimiter: Annotated[
        str | None, typer.Option("--delimiter", help="What parts the fields, unless comma, semicolon or tab.")
    ] = None,
) -> int:
    """Put everybody of a file on the list. Rows that are no numbers are counted and named by line."""
    region = region or Settings.load().default_region

    def batches() -> Iterator[tuple[list[Person], list[Rejected]]]:
        with open_audience(file, encoding=encoding, delimiter=delimiter) as audience:
            sieve = Sieve(audience.columns, phone=phone_column, columns=(), default_region=region)
            for rows in audience.chunks():
                yield sieve.sift(rows)

    # why read twice: a file that breaks off half-way changes nothing, and is never held in memory.
    rejected: Counter[RejectReason] = Counter()
    examples: list[str] = []
    people = 0
    for persons, others in batches():
        people += len(persons)
        rejected.update(row.reason for row in others)
        examples += [f"line {row.line}: {row.reason} {row.value!r}" for row in others[: 5 - len(examples)]]
    if not people:
        raise BadValue(
            f"{file} holds nobody who could be put on the list; nothing was changed", problems=examples
        )

    async def work(app: App) -> int:
        new = 0
        for persons, _ in batches():
            keys = [(PersonKey(person.key), person.e164) for person in persons]
            new += await app.senders.suppress(keys, reason, file.name)
        out.answer(
            {"given": people, "new": new, "rejected": dict(rejected), "examples": examples},
            f"{new:,} people were put on the list, {people - new:,} were on it already or twice in the file",
            *([f"{rejected.total():,} rows were left out, such as"] if rejected else []),
            *(f"  {example}" for example in examples),
        )
        return ExitCode.NO if rejected else ExitCode.DONE

    return in_app(work)
