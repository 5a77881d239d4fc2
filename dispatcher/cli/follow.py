"""Watches a campaign until it ends: how many, how fast, and why the others wait.

`follow` only reads, so that leaving it (Ctrl-C) changes nothing. On a terminal it draws a live view, elsewhere it
writes a line now and then, both on standard error.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import nullcontext
from datetime import datetime, timedelta

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from dispatcher.app import App
from dispatcher.cli.output import Output
from dispatcher.clock import SystemClock
from dispatcher.domain.campaign import Campaign, CampaignState, Counts
from dispatcher.domain.hold import Hold, HoldReason
from dispatcher.domain.ids import CampaignId
from dispatcher.domain.report import CampaignView
from dispatcher.engine.explain import describe

LOOK_EVERY_S = 0.2
LINE_EVERY_S = 2.0
"""Where nothing can be drawn, one line per this time."""
LONG_WAIT = timedelta(seconds=5)
"""Who waits longer is not waited for with ``until_held``."""
HELD_FOR_S = 1.0
"""How long all must have been held before that is believed: between two turns a lane says nothing for a moment."""
RATE_OVER_S = 3.0

_SUMMARY = ("accepted", "refused", "unsure", "suppressed", "cancelled", "expired")


async def follow(
    app: App,
    campaign_id: CampaignId,
    out: Output,
    *,
    until_held: bool = False,
    on_view: Callable[[CampaignView], None] | None = None,
) -> CampaignView:
    """Look at a campaign about five times a second until it is completed or cancelled; return the last view.

    until_held: return also when everybody who is left waits for longer than `LONG_WAIT`, or for an event.
    on_view: called with each view, for callers with more to show. Raises NotFound.
    """
    meter, clock = _Meter(), SystemClock()
    held_since: float | None = None
    line_at = 0.0
    with _live(out) as live:
        while True:
            view = await app.campaigns.view(campaign_id)
            now = clock.monotonic()
            rate = meter.rate(now, handed_over(view.counts))
            if on_view is not None:
                on_view(view)
            if live is not None:
                live.update(view_of(view, rate), refresh=True)
            elif now >= line_at:
                out.note(_line(view, rate))
                line_at = now + LINE_EVERY_S
            if has_ended(view):
                return view
            held_since = (held_since or now) if until_held and is_held(view, clock.now()) else None
            if held_since is not None and now - held_since >= HELD_FOR_S:
                return view
            await asyncio.sleep(LOOK_EVERY_S)


def has_ended(view: CampaignView) -> bool:
    """Whether nothing more will be handed over."""
    is_final = view.campaign.state in {CampaignState.COMPLETED, CampaignState.CANCELLED}
    return is_final and view.counts.claimed == 0 and view.counts.pending == 0


def is_held(view: CampaignView, now: datetime) -> bool:
    """Whether everybody who is left has to wait for long."""
    return view.counts.claimed == 0 and all(_is_long(waiting.hold, now) for waiting in view.waiting)


def _is_long(hold: Hold, now: datetime) -> bool:
    if hold.until is None:
        return hold.reason is not HoldReason.QUEUED
    return hold.until - now > LONG_WAIT


def handed_over(counts: Counts) -> int:
    """People whose message has been answered, or lost its answer."""
    return counts.accepted + counts.refused + counts.unsure


def settled(counts: Counts) -> int:
    """People who do not wait any more."""
    return counts.audience - counts.pending - counts.claimed


def view_of(view: CampaignView, rate_per_s: float) -> RenderableType:
    """A campaign as it stands, in a few lines."""
    counts = view.counts
    done = settled(counts)
    bar = Table.grid(padding=(0, 1))
    bar.add_row(
        ProgressBar(total=max(counts.audience, 1), completed=done, width=40),
        Text(f"{done:,} of {counts.audience:,}"),
        Text(f"{rate_per_s:,.0f}/s", style="cyan"),
    )
    lines: list[RenderableType] = [title_of(view.campaign), bar, Text(_numbers(counts))]
    lines += [
        Text(f"  {waiting.people:,} wait: {describe(waiting.hold)}", style="yellow")
        for waiting in view.waiting
    ]
    return Group(*lines)


def title_of(campaign: Campaign) -> Text:
    """Which campaign, in which state."""
    return Text.assemble(f"campaign {campaign.id} ", (campaign.name, "bold"), f"  {campaign.state}")


def _line(view: CampaignView, rate_per_s: float) -> str:
    waits = "; ".join(f"{waiting.people:,} wait: {describe(waiting.hold)}" for waiting in view.waiting)
    done = f"{settled(view.counts):,} of {view.counts.audience:,}"
    numbers = f"campaign {view.campaign.id} {view.campaign.state}: {done}, {rate_per_s:,.0f}/s, {_numbers(view.counts)}"
    return f"{numbers}; {waits}" if waits else numbers


def _numbers(counts: Counts) -> str:
    shown = [(name, getattr(counts, name)) for name in _SUMMARY]
    parts = [f"{name} {people:,}" for name, people in shown if people or name == "accepted"]
    if counts.claimed:
        parts.append(f"on their way {counts.claimed:,}")
    return ", ".join([*parts, f"waiting {counts.pending:,}"])


def _live(out: Output) -> Live | nullcontext[None]:
    if not out.is_live:
        return nullcontext()
    console: Console = out.errors
    return Live(console=console, auto_refresh=False, redirect_stdout=False)


class _Meter:
    """How many per second, over the last seconds."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def rate(self, now_s: float, count: int) -> float:
        """Takes a reading and answers with the rate since the oldest one that still counts."""
        self._seen.append((now_s, count))
        while now_s - self._seen[0][0] > RATE_OVER_S:
            self._seen.popleft()
        then_s, before = self._seen[0]
        return (count - before) / (now_s - then_s) if now_s > then_s else 0.0
