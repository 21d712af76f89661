"""What each part of the base contributes: bars of the leave-one-out variants."""

from __future__ import annotations

import math

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.lines import one_line
from bench.report.analysis import Analysis
from bench.report.columns import points
from bench.report.figures.style import BLUE, INK, ORANGE, PAPER, WIDTH, Drawing, Empty, short

TITLE = "Ablations"
MOST_BARS = 40


def draw(analysis: Analysis) -> Drawing | Empty:
    """A bar a variant: its score minus that of the base, with its interval."""
    found = analysis.ablations.dropna(subset=["difference"])
    if found.empty:
        some = len(analysis.ablations) > 0
        reason = (
            "no ablation shares a finished seed with the base" if some else "the suite has none"
        )
        return Empty(title=TITLE, reason=reason)
    table = found.head(MOST_BARS)
    figure = Figure(figsize=(WIDTH, 1.0 + 0.34 * len(table)), layout="constrained")
    ax = figure.subplots()
    for y, row in enumerate(table.to_dict("records")):
        _bar(ax, y, *(100 * row[f"difference{end}"] for end in ("", "_lo", "_hi")))
        text = f"{points(row['difference'])}, n = {row['n']}"
        ax.text(1.01, y, text, transform=ax.get_yaxis_transform(), va="center", fontsize=8)
    ax.axvline(0, color=INK, linewidth=0.8)
    ax.set_yticks(range(len(table)), [short(name) for name in table["variant"]])
    ax.invert_yaxis()
    ax.tick_params(axis="y", length=0)
    ax.grid(visible=False, axis="y")
    ax.set_xlabel(f"difference in score to the base ({short(analysis.base)}), points")
    caption = (
        f"Score minus that of the base, {one_line(analysis.base)}, paired by seed, over the tasks "
        "that both have; 95 % t interval over the n seeds. Hatched: below the base. Verdicts, "
        "against the baseline, are in the table."
    )
    if len(table) < len(found):
        caption += f" The first {len(table)} of {len(found)}."
    return Drawing(title=TITLE, caption=caption, figure=figure)


def _bar(ax: Axes, y: float, mean: float, lo: float, hi: float) -> None:
    above = mean >= 0
    ax.barh(
        y,
        mean,
        height=0.62,
        color=BLUE if above else ORANGE,
        edgecolor=PAPER,
        hatch="" if above else "////",
        linewidth=0,
    )
    if not math.isnan(lo):
        ax.errorbar(mean, y, xerr=[[mean - lo], [hi - mean]], color=INK, capsize=3, linewidth=1)
