"""Tasks by variants: the primary metrics, coloured by where they stand to the baseline."""

from __future__ import annotations

import math
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from bench.report.analysis import Analysis
from bench.report.columns import MISSING, points, three_digits
from bench.report.figures.style import WIDTH, Drawing, Empty, best_of, short

TITLE = "Tasks by variants"
MOST_ROWS = 40
COLOURS = "cividis"
"""Even in lightness: dark stays worse and light better in grey print."""

SPAN = 3.0
"""Standings beyond are coloured as this one."""


def draw(analysis: Analysis) -> Drawing | Empty:
    """A cell a variant and task: the metric, and below it the difference to the baseline."""
    comparison, found = analysis.comparison, analysis.by_task
    if found.empty:
        return Empty(title=TITLE, reason="no train cell has finished")
    table = best_of(comparison.table, MOST_ROWS, [comparison.baseline])
    variants, tasks = list(table["variant"]), list(comparison.primary)
    standing, texts = _grid(found, variants, tasks, comparison.baseline, comparison.shares)
    figure = Figure(figsize=(WIDTH, 1.4 + 0.36 * len(variants)), layout="constrained")
    ax = figure.subplots()
    mesh = ax.pcolormesh(
        standing, cmap=COLOURS, vmin=-SPAN, vmax=SPAN, edgecolors="none", linewidth=0
    )
    _write(ax, standing, texts)
    headings = [f"{short(t)}\n{m.replace('_', ' ')}" for t, m in comparison.primary.items()]
    _axes(ax, [short(name) for name in variants], headings)
    bar = figure.colorbar(mesh, ax=ax, extend="both", fraction=0.04, pad=0.02)
    bar.set_label("difference / half-width of its interval\nworse ← baseline → better")
    bar.outline.set_visible(False)
    caption = (
        "Above: mean over seeds of the primary metric; below: difference to the baseline, paired "
        "by seed. Colour: that difference in half-widths of its own 95 % t interval; beyond ±1 "
        "the interval excludes zero. No verdicts: only the score is tested. Without colour: the "
        "baseline, or no interval."
    )
    if len(variants) < len(comparison.table):
        caption += f" The {len(variants)} highest scores of {len(comparison.table)} variants."
    return Drawing(title=TITLE, caption=caption, figure=figure)


def _grid(
    found: pd.DataFrame,
    variants: list[str],
    tasks: list[str],
    baseline: str,
    shares: frozenset[str],
) -> tuple[NDArray[np.float64], list[list[str]]]:
    """Standings `[variants, tasks]`, and what the cells say."""
    standing = np.full((len(variants), len(tasks)), np.nan)
    texts = [[MISSING] * len(tasks) for _ in variants]
    place = {name: i for i, name in enumerate(variants)}
    for row in found[found["variant"].isin(variants)].to_dict("records"):
        i, j = place[row["variant"]], tasks.index(row["task"])
        share = row["metric"] in shares
        mean = f"{100 * row['mean']:.1f} %" if share else three_digits(row["mean"])
        if row["variant"] == baseline or math.isnan(row["difference"]):
            texts[i][j] = mean
            continue
        difference = points(row["difference"]) if share else f"{row['difference']:+.3g}"
        texts[i][j], standing[i, j] = f"{mean}\n{difference}", row["standing"]
    return standing, texts


def _write(ax: Axes, standing: NDArray[np.float64], texts: list[list[str]]) -> None:
    colours = matplotlib.colormaps[COLOURS]
    for (i, j), value in np.ndenumerate(standing):
        ink: dict[str, Any] = {}
        if not math.isnan(value):
            red, green, blue, _ = colours((value + SPAN) / (2 * SPAN))
            dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.45
            ink = {"color": "#fefefe" if dark else "#000000"}
        ax.text(j + 0.5, i + 0.5, texts[i][j], ha="center", va="center", fontsize=8, **ink)


def _axes(ax: Axes, names: list[str], headings: list[str]) -> None:
    ax.set_yticks(np.arange(len(names)) + 0.5, names)
    ax.set_xticks(np.arange(len(headings)) + 0.5, headings)
    ax.invert_yaxis()
    ax.xaxis.tick_top()
    ax.tick_params(length=0)
    ax.grid(visible=False)
    ax.spines[:].set_visible(False)
