"""`dispatch send` and `dispatch campaign create`: an audience file becomes a campaign, whole or not at all.

Both take the same order; `create` leaves a draft, `send` starts and follows it. A file that cannot be read is found
before any server is started.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as ProgressBars
from rich.table import Table

from dispatcher.app import App
from dispatcher.cli.command import command, in_app
from dispatcher.cli.fence import mind_fence
from dispatcher.cli.follow import follow
from dispatcher.cli.output import ExitCode, Interrupted, Output, table
from dispatcher.cli.report import report_table
from dispatcher.cli.shapes import campaign_shape, import_shape, report_shape
from dispatcher.domain.campaign import Campaign, CampaignState, UnsurePolicy
from dispatcher.domain.content import parse_mapping
from dispatcher.domain.errors import BadValue
from dispatcher.domain.ids import CampaignId
from dispatcher.domain.report import CampaignReport
from dispatcher.engine.audience import AudienceFile, open_audience
from dispatcher.engine.campaigns import Plan
from dispatcher.ledger.audience import ImportReport, Progress
from dispatcher.servers import is_running
from dispatcher.settings import Settings

NO_WORKERS = (
    "no worker is running, so nothing is sent yet: the campaign waits in state running, reason queued"
)


@dataclass(frozen=True, slots=True)
class Order:
    """A plan and how its audience file is to be read."""

    plan: Plan
    path: Path
    phone_column: str | None
    region: str | None
    encoding: str | None
    delimiter: str | None

    def opened(self) -> AudienceFile:
        """The audience. Raises BadValue."""
        return open_audience(self.path, encoding=self.encoding, delimiter=self.delimiter)


AudienceArgument = Annotated[
    Path, typer.Argument(metavar="AUDIENCE", help="The people: a .csv or .ndjson file, also with .gz.")
]
TemplateOption = Annotated[str, typer.Option("--template", help="The template's name, as Meta lists it.")]
LanguageOption = Annotated[str, typer.Option("--language", help="The template's language, such as en_US.")]
FromOption = Annotated[
    list[str], typer.Option("--from", metavar="SENDER", help="Who sends; give it several times to share.")
]
MapOption = Annotated[
    list[str] | None,
    typer.Option(
        "--map",
        metavar="SLOT=COLUMN",
        help="What fills a slot of the template: body.1=first_name, or \"body.2='20%'\" (quoted for the shell) for the same text to all. "
        "Slots that are not named take the column of their own name.",
    ),
]
PhoneColumnOption = Annotated[
    str | None,
    typer.Option("--phone-column", help="The column of phone numbers, where its name does not tell."),
]
RegionOption = Annotated[
    str | None,
    typer.Option(
        "--region",
        help="Country of numbers without a country code, such as GB. Without it they are rejected.",
    ),
]
EncodingOption = Annotated[
    str | None,
    typer.Option("--encoding", help="How the file is encoded, unless UTF-8 or UTF-16 with a mark."),
]
DelimiterOption = Annotated[
    str | None, typer.Option("--delimiter", help="What parts the fields, unless comma, semicolon or tab.")
]
NameOption = Annotated[
    str | None, typer.Option("--name", help="What you call the campaign; without it, the file's name.")
]
WeightOption = Annotated[
    int, typer.Option("--weight", min=1, max=1000, help="Its share of a sender that several campaigns use.")
]
PriorityOption = Annotated[
    int,
    typer.Option(
        "--priority",
        min=-1000,
        max=1000,
        help="Higher goes first on its senders; lower ones keep about a twentieth beside it.",
    ),
]
DeadlineOption = Annotated[
    str | None,
    typer.Option(
        "--deadline", metavar="TIME", help="Who is not reached by then expires: 2026-10-01T18:00+02:00."
    ),
]
UnsureOption = Annotated[
    UnsurePolicy,
    typer.Option(
        "--unsure", help="What happens to messages whose answer was lost and of which no receipt tells."
    ),
]
KeyOption = Annotated[
    str | None,
    typer.Option(
        "--key", help="Makes repeating safe: with a key that was used before, nothing is imported again."
    ),
]


def add_send(root: typer.Typer) -> None:
    """Register `send`."""
    _register(root, "send", _send, "Import an audience, start the campaign and follow it to its end.")


def add_create(family: typer.Typer) -> None:
    """Register `create`."""
    _register(family, "create", _create, "Import an audience as a draft, which `campaign start` lets go.")


def _register(
    family: typer.Typer, name: str, carry_out: Callable[[Output, Order], int], help_text: str
) -> None:
    @command(family, name, help=help_text)
    def take_order(
        out: Output,
        audience: AudienceArgument,
        template: TemplateOption,
        language: LanguageOption,
        senders: FromOption,
        mapping: MapOption = None,
        phone_column: PhoneColumnOption = None,
        region: RegionOption = None,
        encoding: EncodingOption = None,
        delimiter: DelimiterOption = None,
        campaign_name: NameOption = None,
        weight: WeightOption = 1,
        priority: PriorityOption = 0,
        deadline: DeadlineOption = None,
        unsure: UnsureOption = UnsurePolicy.GIVE_UP,
        key: KeyOption = None,
    ) -> int:
        parsed = parse_mapping(mapping or [])
        if isinstance(parsed, list):
            raise BadValue("--map cannot be read", problems=[str(problem) for problem in parsed])
        plan = Plan(
            name=campaign_name or audience.name.partition(".")[0] or audience.name,
            template=template,
            language=language,
            senders=senders,
            mapping=parsed,
            weight=weight,
            priority=priority,
            deadline=_deadline(deadline),
            unsure_policy=unsure,
            idempotency_key=key,
        )
        return carry_out(out, Order(plan, audience, phone_column, region, encoding, delimiter))


def _deadline(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        deadline = datetime.fromisoformat(text)
    except ValueError:
        deadline = None
    if deadline is None or deadline.tzinfo is None:
        raise BadValue(
            f"{text!r} is no time with its distance from UTC",
            hint="write it like 2026-10-01T18:00+02:00, or 2026-10-01T16:00Z",
        )
    return deadline


def _create(out: Output, order: Order) -> int:
    with order.opened() as audience:

        async def work(app: App) -> int:
            campaign, report = await _imported(app, out, order, audience)
            shape = import_shape(report) if report else None
            out.answer(
                {"campaign": campaign_shape(campaign), "imported": shape},
                *([_import_table(report)] if report else []),
                f"campaign {campaign.id} is {campaign.state}"
                + (f"; `dispatch campaign start {campaign.id}` lets it go" if report else ""),
            )
            return ExitCode.DONE

        return in_app(work)


def _send(out: Output, order: Order) -> int:
    # why before: afterwards the servers run in any case, and nobody but us may be using them.
    is_alone = not is_running(Settings.load())
    with order.opened() as audience:
        return in_app(lambda app: _sent(app, out, order, audience, is_alone=is_alone))


async def _sent(app: App, out: Output, order: Order, audience: AudienceFile, *, is_alone: bool) -> int:
    campaign, imported = await _imported(app, out, order, audience)
    if imported is not None and not out.as_json:
        out.note(_import_line(imported))
    if campaign.state is CampaignState.DRAFT:
        campaign = await app.campaigns.start(campaign.id)
    await mind_fence(app, out)
    has_workers = await app.has_workers()
    if not has_workers:
        out.warn(NO_WORKERS)
        out.note("start them: `dispatch up`")
    if has_workers or not is_alone:
        try:
            await follow(app, campaign.id, out)
        except asyncio.CancelledError:
            raise left_running(campaign.id) from None
    report = await app.campaigns.report(campaign.id)
    out.answer(
        {
            "campaign": report_shape(report),
            "imported": import_shape(imported) if imported else None,
            "has_workers": has_workers,
        },
        report_table(report),
    )
    return verdict_on(report)


def verdict_on(report: CampaignReport) -> ExitCode:
    """DONE for a campaign that is completed, with everybody accounted for and nobody unsure; NO for any other."""
    counts = report.view.counts
    is_well = report.view.campaign.state is CampaignState.COMPLETED and counts.adds_up and not counts.unsure
    return ExitCode.DONE if is_well else ExitCode.NO


def left_running(campaign_id: CampaignId) -> Interrupted:
    """Ctrl-C while following: what goes on, and the three things one can do."""
    return Interrupted(
        f"campaign {campaign_id} goes on without this terminal, as long as workers run",
        hint=f"follow it: dispatch campaign follow {campaign_id}\n"
        f"pause it:  dispatch campaign pause {campaign_id}\n"
        f"cancel it: dispatch campaign cancel {campaign_id}",
    )


async def _imported(
    app: App, out: Output, order: Order, audience: AudienceFile
) -> tuple[Campaign, ImportReport | None]:
    """The campaign with its people. Without a report it was there before."""
    try:
        with _progress(out, order.path.name) as progress:
            campaign, report = await app.import_audience(
                order.plan,
                audience,
                phone_column=order.phone_column,
                default_region=order.region,
                progress=progress,
            )
    except asyncio.CancelledError:
        raise Interrupted("interrupted; nothing was imported and no campaign was left") from None
    if report is None:
        out.note(
            f"the key {order.plan.idempotency_key!r} was used before, by campaign {campaign.id} "
            f"({campaign.state}); nothing was imported"
        )
    return campaign, report


@contextmanager
def _progress(out: Output, name: str) -> Iterator[Callable[[Progress], None] | None]:
    """A bar for the import, where one can be drawn."""
    if not out.is_live:
        yield None
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TextColumn("{task.fields[rows]:,} rows, {task.fields[rows_per_s]:,.0f}/s", markup=False),
        TimeElapsedColumn(),
    )
    with ProgressBars(*columns, console=out.errors, redirect_stdout=False) as bars:
        task = bars.add_task(f"importing {name}", total=None, rows=0, rows_per_s=0.0)

        def advance(progress: Progress) -> None:
            elapsed_s = bars.tasks[0].elapsed or 0.0
            bars.update(
                task,
                completed=progress.read_bytes,
                total=progress.size_bytes,
                rows=progress.rows,
                rows_per_s=progress.rows / elapsed_s if elapsed_s else 0.0,
            )

        yield advance


def _import_line(report: ImportReport) -> str:
    rejected = sum(report.rejected.values())
    return (
        f"{report.rows:,} rows: {report.audience:,} people ({report.suppressed:,} of them suppressed), "
        f"{rejected:,} rows rejected; {report.rows_per_s:,.0f} rows/s"
    )


def _import_table(report: ImportReport) -> Table:
    rows = [("people", report.audience), ("of them suppressed", report.suppressed)]
    rows += [(f"rejected: {reason}", count) for reason, count in report.rejected.items()]
    return table(("of the file", "rows"), [*rows, ("all rows", report.rows)])
