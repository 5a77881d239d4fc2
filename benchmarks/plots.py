"""Draws what `dispatch` and `growth` have measured, as PNG. Needs matplotlib, from the extra `benchmarks`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from benchmarks.contestants.product import Dispatcher
from benchmarks.harness import Summary

OURS, THEIRS, INK = "#0b7a5c", "#9aa5ad", "#2b3238"
ROLES = {"lanes": OURS, "upkeep": "#e0a33e", "postgres": "#4a6fa5", "valkey": "#b8503f"}
"""The parts of the dispatcher's cost, in the order they are piled up."""
LABELS = {
    "people": "people",
    "senders": "senders",
    "workers": "worker processes",
    "campaigns": "campaigns on one sender",
}
"""What grows, a field of `Dispatcher` → how the axis calls it."""


def plot_contestants(summaries: Mapping[str, Summary], path: Path) -> None:
    """Messages per second of each: the median as a bar, the slowest and fastest round as a line over it."""
    shown = sorted(
        ((role, summary) for role, summary in summaries.items() if role != "sink_ceiling"),
        key=lambda each: each[1].per_s,
    )
    figure = Figure(figsize=(8, 0.7 + 0.6 * len(shown)), layout="constrained")
    axes = figure.subplots()
    for place, (role, summary) in enumerate(shown):
        each = [sample.per_s for sample in summary.samples]
        axes.barh(place, summary.per_s, color=OURS if role.startswith("dispatch") else THEIRS, height=0.6)
        axes.plot([min(each), max(each)], [place, place], color=INK, linewidth=1.5)
        axes.text(max(each), place, f"  {summary.per_s:,.0f}", va="center", color=INK)
    axes.set_yticks(range(len(shown)), [summary.name for _, summary in shown])
    axes.set_xlim(0, 1.15 * max(sample.per_s for _, summary in shown for sample in summary.samples))
    axes.set_xlabel("messages per second: median, with the slowest and the fastest round")
    _tidy(axes)
    _save(figure, path)


def plot_growth(axes_of: Mapping[str, Mapping[Dispatcher, Summary]], path: Path) -> None:
    """Processor time per message along each axis, by role."""
    figure = Figure(figsize=(3.0 * len(axes_of), 4.0), layout="constrained")
    panels = figure.subplots(1, len(axes_of), sharey=True, squeeze=False)[0]
    for axes, (name, points) in zip(panels, axes_of.items(), strict=True):
        floor = [0.0] * len(points)
        for role, colour in ROLES.items():
            spent = [summary.cpu_us(role) for summary in points.values()]
            axes.bar(range(len(points)), spent, bottom=floor, color=colour, width=0.6, label=role)
            floor = [below + more for below, more in zip(floor, spent, strict=True)]
        for at, (top, summary) in enumerate(zip(floor, points.values(), strict=True)):
            memory = f"{summary.peak_mb('lanes'):.0f} MB"
            axes.text(at, top, memory, ha="center", va="bottom", color=INK, fontsize=8)
        axes.set_xticks(range(len(points)), [f"{getattr(point, name):,}" for point in points])
        axes.set_xlabel(LABELS[name])
        _tidy(axes)
    panels[0].set_ylabel("µs of processor time per message")
    figure.legend(
        *panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(ROLES), frameon=False
    )
    figure.suptitle(
        "What a message costs as things grow; above each bar, a worker's peak memory", fontsize=10
    )
    _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=130)


def _tidy(axes: Any) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
