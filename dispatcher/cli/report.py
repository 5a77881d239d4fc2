"""The report of a campaign for people: every person in exactly one row, and every reason with its number."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from dispatcher.cli.follow import title_of
from dispatcher.cli.output import table
from dispatcher.cli.shapes import accepted_per_s, clock_text
from dispatcher.domain.campaign import Counts
from dispatcher.domain.hold import LIFTED_BY
from dispatcher.domain.report import CampaignReport, Waiting

_STATES = {
    "accepted": "taken by WhatsApp",
    "refused": "will not be sent",
    "unsure": "handed over, but the answer was lost; not sent again",
    "suppressed": "on the suppression list",
    "cancelled": "the campaign was cancelled first",
    "expired": "the deadline came first",
    "claimed": "on their way at this moment",
    "pending": "waiting",
}


def report_table(report: CampaignReport, *, is_kept: bool = True) -> RenderableType:
    """Counts that add up, then why people ended as they did, who sent, and why the rest waits.

    is_kept: False where the campaign is gone when this is read, as in the demo.
    """
    view = report.view
    campaign = view.campaign
    parts: list[RenderableType] = [
        title_of(campaign),
        Text(""),
        counts_table(view.counts),
        _sum_line(view.counts),
    ]
    if report.ended:
        rows = [(ended.state, ended.reason, str(ended.code or ""), ended.people) for ended in report.ended]
        parts += [Text(""), table(("ended", "reason", "code", "people"), rows)]
    if any(reported.state for reported in report.reported):
        told = [
            (reported.state or "nothing yet", str(reported.code or ""), reported.people)
            for reported in report.reported
        ]
        parts += [Text(""), table(("of the accepted, Meta reports", "code", "people"), told)]
    if report.rejected_rows:
        parts += [
            Text(""),
            table(("rejected row of the file", "rows"), report.rejected_rows.items()),
            Text("these never became people of the campaign; the export names line and column", "dim"),
        ]
    if view.waiting:
        parts += [Text(""), waiting_table(view.waiting)]
    lanes = [
        (lane.sender.name, lane.sender.status, lane.accepted, lane.refused, lane.unsure, lane.hold)
        for lane in view.lanes
    ]
    parts += [Text(""), table(("sender", "status", "accepted", "refused", "unsure", "held by"), lanes)]
    if (rate := accepted_per_s(report)) is not None:
        parts += [Text(""), Text(f"{rate:,} accepted per second over {report.posting_time}")]
    if campaign.archived_at is not None:
        dropped = clock_text(campaign.archived_at)
        parts += [Text(""), Text(f"its people were dropped as old on {dropped}; all of this is kept", "dim")]
    elif is_kept:
        parts += [Text(""), Text(f"everybody, one by one: dispatch campaign export {campaign.id}", "dim")]
    return Group(*parts)


def counts_table(counts: Counts) -> RenderableType:
    """People by state, those that are empty left out."""
    rows = [
        (state, getattr(counts, state), meaning)
        for state, meaning in _STATES.items()
        if getattr(counts, state) or state == "accepted"
    ]
    return table(("state", "people", ""), [*rows, ("audience", counts.audience, "")])


def waiting_table(waiting: Sequence[Waiting]) -> RenderableType:
    """Why people wait, until when, and what ends it."""
    rows = [
        (
            wait.people,
            wait.hold.reason,
            wait.hold.detail,
            clock_text(wait.hold.until),
            LIFTED_BY[wait.hold.reason],
        )
        for wait in waiting
    ]
    return table(("waiting", "for", "detail", "until", "ends by"), rows)


def _sum_line(counts: Counts) -> Text:
    if counts.adds_up:
        return Text("the states add up to the audience", "green")
    return Text("the states do NOT add up to the audience; run `dispatch check`", "bold red")
