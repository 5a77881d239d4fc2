"""`dispatch campaign …`: orders about campaigns, how they stand, and why.

Importing an audience is left to `orders.py`. Every order may be repeated; the second time it changes nothing.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from dispatcher.app import App
from dispatcher.cli.command import CampaignArgument, command, group
from dispatcher.cli.export import export
from dispatcher.cli.fence import mind_fence
from dispatcher.cli.follow import follow, has_ended, title_of
from dispatcher.cli.orders import add_create, left_running, verdict_on
from dispatcher.cli.output import Output, table
from dispatcher.cli.report import counts_table, report_table, waiting_table
from dispatcher.cli.shapes import (
    campaign_shape,
    clock_text,
    counts_shape,
    explanation_shape,
    report_shape,
    view_shape,
)
from dispatcher.domain.campaign import Campaign
from dispatcher.domain.ids import CampaignId
from dispatcher.domain.report import CampaignView
from dispatcher.engine.campaigns import Stopped
from dispatcher.engine.explain import Explanation, describe

family = group("campaign", "Create, start, pause, follow and report campaigns.")
add_create(family)


@command(family, "start")
async def start(app: App, out: Output, campaign: CampaignArgument) -> None:
    """Let a draft go. Repeating it changes nothing."""
    _say_state(out, await app.campaigns.start(CampaignId(campaign)))
    await _mind_workers(app, out)


@command(family, "pause")
async def pause(app: App, out: Output, campaign: CampaignArgument) -> None:
    """Stop posting within a second; who was not handed over waits for `resume`."""
    _say_stopped(out, await app.campaigns.pause(CampaignId(campaign)))


@command(family, "resume")
async def resume(app: App, out: Output, campaign: CampaignArgument) -> None:
    """Go on after a pause."""
    _say_state(out, await app.campaigns.resume(CampaignId(campaign)))
    await _mind_workers(app, out)


@command(family, "cancel")
async def cancel(app: App, out: Output, campaign: CampaignArgument) -> None:
    """Stop for good; who was not handed over never gets the message."""
    _say_stopped(out, await app.campaigns.cancel(CampaignId(campaign)))


@command(family, "list")
async def list_campaigns(
    app: App,
    out: Output,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="How many, the newest first.")] = 50,
) -> None:
    """The newest campaigns and how they stand."""
    views = await app.campaigns.recent(limit)
    columns = (
        "id",
        "name",
        "state",
        "template",
        "audience",
        "accepted",
        "refused",
        "unsure",
        "waiting",
        "for",
    )
    out.answer(
        {"campaigns": [view_shape(view) for view in views]},
        table(columns, [_row(view) for view in views])
        if views
        else "there are no campaigns; `dispatch send` makes one",
    )


def _row(view: CampaignView) -> tuple[object, ...]:
    campaign, counts = view.campaign, view.counts
    reasons = ", ".join(dict.fromkeys(str(waiting.hold.reason) for waiting in view.waiting))
    numbers = (counts.audience, counts.accepted, counts.refused, counts.unsure, counts.pending)
    # why str: an id is a name, not a quantity.
    return str(campaign.id), campaign.name, campaign.state, campaign.template, *numbers, reasons


@command(family, "show")
async def show(app: App, out: Output, campaign: CampaignArgument) -> None:
    """What was ordered, how it stands, and why people wait."""
    view = await app.campaigns.view(CampaignId(campaign))
    ordered = view.campaign
    mapping = ", ".join(
        f"{row['slot']}={row['column']}" if "column" in row else f"{row['slot']}={row['literal']!r}"
        for row in ordered.mapping.to_json()
    )
    facts = (
        ("template", f"{ordered.template} ({ordered.language})"),
        ("filled with", mapping),
        ("senders", ", ".join(lane.sender.name for lane in view.lanes)),
        ("weight", ordered.weight),
        ("deadline", clock_text(ordered.deadline)),
        ("unsure", ordered.unsure_policy),
        ("created", clock_text(ordered.created_at)),
        ("started", clock_text(ordered.started_at)),
        ("finished", clock_text(ordered.finished_at)),
        ("people dropped", clock_text(ordered.archived_at)),
    )
    await mind_fence(app, out)
    out.answer(
        view_shape(view),
        title_of(ordered),
        table(("", ""), facts),
        counts_table(view.counts),
        *([waiting_table(view.waiting)] if view.waiting else []),
    )


@command(family, "follow")
async def follow_campaign(
    app: App,
    out: Output,
    campaign: CampaignArgument,
    until_held: Annotated[
        bool, typer.Option("--until-held", help="End also when everybody who is left has to wait for long.")
    ] = False,
) -> int:
    """Watch a campaign until it ends. Ctrl-C leaves it running."""
    campaign_id = CampaignId(campaign)
    if not has_ended(await app.campaigns.view(campaign_id)):
        await _mind_workers(app, out)
    try:
        await follow(app, campaign_id, out, until_held=until_held)
    except asyncio.CancelledError:
        raise left_running(campaign_id) from None
    done = await app.campaigns.report(campaign_id)
    out.answer(report_shape(done), report_table(done))
    return verdict_on(done)


@command(family, "report")
async def report(app: App, out: Output, campaign: CampaignArgument) -> None:
    """What a campaign has come to, in numbers that add up."""
    made = await app.campaigns.report(CampaignId(campaign))
    out.answer(report_shape(made), report_table(made))


@command(family, "export")
async def export_campaign(
    app: App,
    out: Output,
    campaign: CampaignArgument,
    to: Annotated[
        Path | None, typer.Option("--to", help="The file, .csv or .ndjson; without it campaign-ID.csv here.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a file that is there already.")] = False,
) -> None:
    """Write everybody and every rejected row to a file, in the order of the audience file."""
    exported = await app.campaigns.with_people(CampaignId(campaign))
    path = to or Path(f"campaign-{exported.id}.csv")
    rows = await export(app.campaigns.export(exported.id), path, force=force)
    out.answer({"file": str(path.absolute()), "rows": rows}, f"{rows:,} rows written to {path}")


@command(family, "explain")
async def explain(app: App, out: Output, campaign: CampaignArgument) -> None:
    """Why a campaign is where it is: what binds now, on each sender, and what ends it."""
    explanation = await app.explain.explain_campaign(CampaignId(campaign))
    out.answer(explanation_shape(explanation), *explanation_lines(explanation))


def explanation_lines(explanation: Explanation) -> list[str]:
    """An answer to "why" for people."""
    lines = [explanation.summary, f"what helps: {explanation.advice}"]
    for lane in explanation.lanes:
        binding = "; ".join(describe(hold) for hold in lane.binding) or "nothing binds"
        lines.append(f"  {lane.sender}: {binding}")
        lines += [f"    {sentence}" for sentence in lane.outlook]
    return lines


def _say_state(out: Output, campaign: Campaign) -> None:
    out.answer(campaign_shape(campaign), f"campaign {campaign.id} is {campaign.state}")


def _say_stopped(out: Output, stopped: Stopped) -> None:
    campaign, counts = stopped.campaign, stopped.counts
    text = f"campaign {campaign.id} is {campaign.state}: {stopped.handed_over:,} were handed over"
    if counts.pending:
        text += f", {counts.pending:,} wait"
    if counts.cancelled:
        text += f", {counts.cancelled:,} were cancelled"
    if stopped.still_in_flight:
        text += f"; {stopped.still_in_flight:,} were still on their way, see `dispatch campaign show {campaign.id}`"
    out.answer(
        {
            **campaign_shape(campaign),
            "counts": counts_shape(counts),
            "handed_over": stopped.handed_over,
            "still_in_flight": stopped.still_in_flight,
        },
        text,
    )


async def _mind_workers(app: App, out: Output) -> None:
    if not await app.has_workers():
        out.warn("no worker is running, so nothing is sent yet; `dispatch up` starts everything")
    await mind_fence(app, out)
