"""What moves while tasks are trained together: their weights, and how their gradients agree."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from bench.report.analysis import Analysis
from bench.report.figures.style import BLUE, INK, ORANGE, WIDTH, Drawing, Empty, best_of, short

WEIGHTS, GRADIENTS = "Weights of the tasks", "Agreement of gradients"
MOST_PANELS = 12
PANELS_A_ROW = 3
MOST_MARKS = 12

LOOKS = [(colour, style) for style in ("-", "--", ":") for colour in (BLUE, ORANGE, INK)]
"""Of the lines in a panel, of which there are no more."""

_STILL = 1e-9
_PANEL = 1.25
"""Inches that a panel is high."""

_LEGEND_LETTERS = 100
"""That a row of the legend has room for, about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lines:
    """`means` has `variant, epoch, name, value`; `names` are drawn, `notes` stand by variants.

    With `compare` all panels have one scale.
    """

    title: str
    caption: str
    unit: str
    means: pd.DataFrame
    names: Sequence[str]
    compare: bool = False
    notes: Mapping[str, str] = field(default_factory=dict)


def draw_weights(analysis: Analysis) -> Drawing | Empty:
    """A panel a variant whose weights move, a line a task."""
    moving = _moving(_over_seeds(analysis, "weight"))
    if moving.empty:
        return Empty(title=WEIGHTS, reason="no weights change from epoch to epoch")
    names = list(dict.fromkeys(moving["name"]))
    caption = (
        "Mean weight of each task's loss in each epoch, as it was used; mean over seeds, as far as "
        "every seed went. Variants whose weights stand still are not drawn. What the weights of a "
        "method sum to is its own: compare within a panel."
    )
    if len(names) > len(LOOKS):
        caption += f" The first {len(LOOKS)} of {len(names)} tasks."
        names = names[: len(LOOKS)]
    return _drawing(
        analysis,
        _Lines(title=WEIGHTS, caption=caption, unit="weight", means=moving, names=names),
    )


def draw_gradients(analysis: Analysis) -> Drawing | Empty:
    """A panel a variant with diagnostics, a line a pair of tasks."""
    cosines = _over_seeds(analysis, "cosine")
    if cosines.empty:
        return Empty(title=GRADIENTS, reason="no gradients were compared (train.diagnostics)")
    caption = (
        "Cosine of two tasks' gradients for the parameters that they share, mean over the steps "
        "looked at in each epoch and over seeds, as far as every seed went. Beside a variant's "
        "name: the share of pairs and steps with a cosine below 0."
    )
    means = cosines.groupby("name", sort=False)["value"].mean()
    if len(means) > len(LOOKS):
        caption += f" The {len(LOOKS)} of {len(means)} pairs with the lowest cosines."
        means = means[means.index.isin(means.nsmallest(len(LOOKS)).index)]
    rates = analysis.results.frame.groupby("variant")["train.conflict_rate"].mean().dropna()
    drawn = _drawing(
        analysis,
        _Lines(
            title=GRADIENTS,
            caption=caption,
            unit="cosine",
            means=cosines,
            names=list(means.index),
            compare=True,
            notes={str(name): f"{100 * rate:.0f} % in conflict" for name, rate in rates.items()},
        ),
    )
    for ax in drawn.figure.axes:
        ax.axhline(0, color=INK, linewidth=0.8)
    return drawn


def _over_seeds(analysis: Analysis, kind: str) -> pd.DataFrame:
    """`variant, epoch, name, value` of compared variants: means over seeds.

    Epochs that some seed of a variant did not come to are left out.
    """
    compared = {v["name"] for v in analysis.manifest["variants"] if v["compared"]}
    found = analysis.results.dynamics
    found = found[(found["kind"] == kind) & found["variant"].isin(compared)]
    seeds = found.groupby("variant")["seed"].transform("nunique")
    line = ["variant", "epoch", "name"]
    there = found.groupby(line)["seed"].transform("nunique")
    return found[there == seeds].groupby(line, sort=False)["value"].mean().reset_index()


def _moving(means: pd.DataFrame) -> pd.DataFrame:
    lines = means.groupby(["variant", "name"])["value"]
    spread = (lines.max() - lines.min()).groupby("variant").max()
    return means[means["variant"].isin(spread.index[spread > _STILL])]


def _drawing(analysis: Analysis, lines: _Lines) -> Drawing:
    table = analysis.comparison.table
    known = table[table["variant"].isin(set(lines.means["variant"]))]
    panels = list(best_of(known, MOST_PANELS, [])["variant"])
    figure, axes = _laid_out(len(panels), lines)
    for ax, variant in zip(axes, panels, strict=False):
        _panel(ax, variant, lines)
    caption = lines.caption
    if len(panels) < len(known):
        caption += f" The {len(panels)} highest scores of {len(known)} variants."
    return Drawing(title=lines.title, caption=caption, figure=figure)


def _laid_out(panels: int, lines: _Lines) -> tuple[Figure, list[Axes]]:
    """A figure with its legend, and the axes of so many panels, still empty."""
    rows = math.ceil(panels / PANELS_A_ROW)
    columns = max(1, _LEGEND_LETTERS // (6 + max(len(short(name)) for name in lines.names)))
    head = 0.45 if lines.notes else 0.3
    foot = 0.52 + 0.17 * math.ceil(len(lines.names) / columns)
    height = (head + _PANEL) * rows + foot
    figure = Figure(figsize=(WIDTH, height))
    figure.subplots_adjust(
        left=0.075,
        right=0.99,
        top=1 - head / height,
        bottom=foot / height,
        wspace=0.08 if lines.compare else 0.2,
        hspace=head / _PANEL,
    )
    axes = figure.subplots(rows, PANELS_A_ROW, sharex=True, sharey=lines.compare, squeeze=False)
    axes[0, 0].xaxis.set_major_locator(MaxNLocator(6, integer=True))
    for i, ax in enumerate(axes.flat):
        ax.tick_params(labelbottom=i + PANELS_A_ROW >= panels, length=2)
        ax.set_visible(i < panels)
    figure.supxlabel("epoch", fontsize=9, y=(foot - 0.42) / height)
    figure.supylabel(lines.unit, fontsize=9, x=0.005)
    handles = [Line2D([], [], **_look(i)) for i in range(len(lines.names))]
    names = [short(name) for name in lines.names]
    figure.legend(handles, names, loc="lower right", ncols=columns, borderaxespad=0)
    return figure, list(axes.flat)[:panels]


def _panel(ax: Axes, variant: str, lines: _Lines) -> None:
    note = f"\n{lines.notes[variant]}" if variant in lines.notes else ""
    ax.set_title(f"{short(variant)}{note}", fontsize=8)
    for i, name in enumerate(lines.names):
        means = lines.means
        line = means[(means["variant"] == variant) & (means["name"] == name)]
        mark = "o" if len(line) < MOST_MARKS else ""
        ax.plot(line["epoch"], line["value"], **_look(i), marker=mark)


def _look(i: int) -> dict[str, Any]:
    colour, style = LOOKS[i]
    return {"color": colour, "linestyle": style, "linewidth": 1.4, "markersize": 3}
