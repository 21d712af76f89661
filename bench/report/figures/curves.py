"""Learning curves: val score by epoch, each variant beside the baseline."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from bench.report.analysis import Analysis
from bench.report.figures.style import BLUE, INK, WIDTH, Drawing, Empty, best_of, short
from bench.statistics import mean_interval

TITLE = "Learning curves"
MOST_PANELS = 12
PANELS_A_ROW = 3
MOST_MARKS = 12


def draw(analysis: Analysis) -> Drawing | Empty:
    """A panel a variant: mean and 95 % t interval over seeds; the baseline in each."""
    baseline, table = analysis.comparison.baseline, analysis.comparison.table
    compared = {v["name"] for v in analysis.manifest["variants"] if v["compared"]}
    drawable = compared & set(analysis.results.curves["variant"])
    known = table[table["variant"].isin(drawable)]
    chosen = best_of(known, MOST_PANELS + 1, [baseline])
    runs = dict(iter(analysis.results.curves.groupby("variant", sort=False)))
    curves = {name: curve_of(runs[name]) for name in chosen["variant"]}
    if all(len(curve) < 2 for curve in curves.values()):
        return Empty(title=TITLE, reason="no variant has a score on val for more than one epoch")
    base = curves.get(baseline)
    panels = {name: curve for name, curve in curves.items() if name != baseline} or curves
    rows = math.ceil(len(panels) / PANELS_A_ROW)
    figure = Figure(figsize=(WIDTH, 0.6 + 1.55 * rows))
    axes = figure.subplots(rows, PANELS_A_ROW, sharex=True, sharey=True, squeeze=False)
    for ax, (name, curve) in zip(axes.flat, panels.items(), strict=False):
        _panel(ax, name, curve, base)
    for ax in axes.flat[len(panels) :]:
        ax.set_visible(False)
    _lay_out(figure, axes, len(panels))
    caption = (
        "Mean over seeds of the score on val after each epoch, as far as every seed went; band: "
        "95 % t interval. Solid blue: the variant; dashed: the baseline. The epoch that counts is "
        "chosen on val, so the numbers of the tables, from test, are others."
    )
    if len(chosen) < len(known):
        caption += f" The {len(panels)} highest scores of {len(known)} variants."
    return Drawing(title=TITLE, caption=caption, figure=figure)


def curve_of(run: pd.DataFrame) -> pd.DataFrame:
    """`epoch, mean, lo, hi` over the seeds of a variant, as far as every seed went."""
    seeds = run["seed"].nunique()
    by_epoch = run.groupby("epoch")["val.score"].apply(list)
    rows = [
        (epoch, *mean_interval(values))
        for epoch, values in by_epoch.items()
        if len(values) == seeds
    ]
    return pd.DataFrame(rows, columns=["epoch", "mean", "lo", "hi"])


def _panel(ax: Axes, name: str, curve: pd.DataFrame, base: pd.DataFrame | None) -> None:
    ax.set_title(short(name), fontsize=8)
    if base is not None and base is not curve:
        ax.plot(base["epoch"], 100 * base["mean"], color=INK, linestyle="--", linewidth=1)
    ax.fill_between(
        curve["epoch"], 100 * curve["lo"], 100 * curve["hi"], color=BLUE, alpha=0.25, linewidth=0
    )
    mark = "o" if len(curve) < MOST_MARKS else ""
    line: dict[str, Any] = {"color": BLUE, "linewidth": 1.6, "marker": mark, "markersize": 3}
    ax.plot(curve["epoch"], 100 * curve["mean"], **line)


def _lay_out(figure: Figure, axes: NDArray[Any], panels: int) -> None:
    """Places and tick labels of the panels, an array of axes `[rows, PANELS_A_ROW]`."""
    # By hand: laying out a dozen panels automatically takes longer than all else.
    height = figure.get_figheight()
    figure.subplots_adjust(
        left=0.075, right=0.99, top=1 - 0.3 / height, bottom=0.5 / height, wspace=0.08, hspace=0.3
    )
    axes[0, 0].xaxis.set_major_locator(MaxNLocator(6, integer=True))
    for i, ax in enumerate(axes.flat[:panels]):
        ax.tick_params(labelbottom=i + PANELS_A_ROW >= panels, length=2)
    figure.supxlabel("epoch", fontsize=9, y=0.08 / height)
    handles = [Line2D([], [], color=BLUE), Line2D([], [], color=INK, linestyle="--", linewidth=1)]
    figure.legend(handles, ["variant", "baseline"], loc="lower right", ncols=2, borderaxespad=0)
    figure.supylabel("score on val, %", fontsize=9, x=0.005)
