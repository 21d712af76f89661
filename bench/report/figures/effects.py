"""What each setting does: matched pairs, with intervals."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.report.analysis import Analysis
from bench.report.figures.style import (
    BLUE,
    INK,
    ORANGE,
    PAPER,
    WIDTH,
    Drawing,
    Empty,
    short,
)

TITLE = "What each setting does"
MOST_VALUES = 12
"""Of a setting; of more, those are shown that are farthest from zero."""

MOST_ROWS = 60


def draw(analysis: Analysis) -> Drawing | Empty:
    """A point a value: its difference in score to the baseline's value, with its interval."""
    found = analysis.effects
    if found.table.empty:
        reason = " ".join(found.gaps) or "no setting varies"
        return Empty(title=TITLE, reason=reason.rstrip("."))
    table = shown(found.table)
    groups = table["setting"].nunique()
    figure = Figure(figsize=(WIDTH, 1.1 + 0.24 * (len(table) + 1.4 * groups)), layout="constrained")
    ax = figure.subplots()
    _rows(ax, table)
    ax.axvline(0, color=INK, linewidth=0.8)
    ax.set_xlabel("difference in score to the baseline's value, points")
    ax.grid(visible=False, axis="y")
    ax.spines["left"].set_visible(False)
    caption = (
        "Mean over pairs of variants that differ in this setting alone, one of them with the "
        "baseline's value, paired by seed; 95 % t interval over the n seeds. Filled: the interval "
        "excludes zero (blue circle above, orange square below). These are no tests and carry no "
        "verdict: with many rows some intervals miss zero by chance."
    )
    if len(table) < len(found.table):
        caption += (
            f" {len(table)} of {len(found.table)} values: of each setting the farthest from 0."
        )
    if found.gaps:
        caption += f" Not shown: {' '.join(found.gaps)}"
    return Drawing(title=TITLE, caption=caption, figure=figure)


def shown(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of the effects that are drawn, in their order."""
    far = table["difference"].abs().groupby(table["setting"]).rank(ascending=False, method="first")
    return table[far <= MOST_VALUES].head(MOST_ROWS)


def _rows(ax: Axes, table: pd.DataFrame) -> None:
    y, ticks, labels = 0.0, [], []
    for (setting, reference), rows in table.groupby(["setting", "reference"], sort=False):
        ax.text(
            0.0,
            y,
            f"{short(setting)}, against {short(reference)}",
            transform=ax.get_yaxis_transform(),
            va="center",
            weight="bold",
        )
        for row in rows.to_dict("records"):
            y -= 1
            ticks.append(y)
            labels.append(short(row["value"]))
            _point(ax, y, *(100 * row[f"difference{end}"] for end in ("", "_lo", "_hi")))
            _count(ax, y, f"n = {row['n']}, {row['pairs']} pair{'' if row['pairs'] == 1 else 's'}")
        y -= 1.4
    ax.set_yticks(ticks, labels)
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(y + 0.7, 0.7)


def _point(ax: Axes, y: float, mean: float, lo: float, hi: float) -> None:
    colour, marker = (BLUE, "o") if mean >= 0 else (ORANGE, "s")
    ax.plot([lo, hi], [y, y], color=colour, linewidth=1.4, solid_capstyle="butt")
    face = colour if lo > 0 or hi < 0 else PAPER
    ax.plot([mean], [y], marker, color=colour, markerfacecolor=face, markersize=6)


def _count(ax: Axes, y: float, text: str) -> None:
    ax.text(1.01, y, text, transform=ax.get_yaxis_transform(), va="center", fontsize=8)
