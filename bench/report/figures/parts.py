"""What each part of a step takes, forward and backward, in stacked bars."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.lines import one_line
from bench.report.analysis import Analysis
from bench.report.figures.style import INK, WIDTH, Drawing, Empty, short
from bench.report.parts import BACKWARD, FORWARD, ordered_groups, with_groups

TITLE = "Where the time goes"
MOST_VARIANTS = 16

_COLOURS = (
    *("#0072b2", "#56b4e9", "#009e73", "#e69f00", "#d55e00", "#cc79a7", "#f0e442"),
    *("#7f7f7f", "#bcbd22", "#8c564b"),
)
"""Of Okabe and Ito (2008), and three more; they repeat."""


def draw(analysis: Analysis) -> Drawing | Empty:
    """Two bars a profiled variant, forward above backward; colours are parts."""
    if not len(analysis.parts):
        return Empty(title=TITLE, reason="no variant was profiled (mtmm-bench profile does)")
    table, unit = with_groups(analysis.parts)
    table = table[table["direction"].isin([FORWARD, BACKWARD])]
    variants = list(dict.fromkeys(table["variant"]))
    shown = variants[:MOST_VARIANTS]
    figure = Figure(figsize=(WIDTH, 1.3 + 0.5 * len(shown)), layout="constrained")
    ax = figure.subplots()
    groups = ordered_groups(table["shown"])
    for direction, offset in ((FORWARD, -0.2), (BACKWARD, 0.2)):
        of = table[table["direction"] == direction]
        wide = of.pivot_table(index="variant", columns="shown", values="value", aggfunc="sum")
        _bars(ax, wide.reindex(index=shown, columns=groups, fill_value=0.0).fillna(0.0), offset)
    _axes(ax, shown, groups, unit, analysis.manifest["baseline"])
    left = f" The first {len(shown)} of {len(variants)} variants." if variants != shown else ""
    caption = (
        "Above: forward, with losses; below: backward, with the weighting. Shares of a profiled "
        f"step, taken of the times of the step without the profiler.{left}"
    )
    return Drawing(title=TITLE, caption=caption, figure=figure)


def _bars(ax: Axes, wide: pd.DataFrame, offset: float) -> None:
    left = pd.Series(0.0, index=wide.index)
    for i, group in enumerate(wide.columns):
        ax.barh(
            [place + offset for place in range(len(wide))],
            wide[group],
            height=0.36,
            left=left,
            color=_COLOURS[i % len(_COLOURS)],
            edgecolor="white",
            linewidth=0.4,
            label=one_line(group) if offset < 0 else None,
        )
        left = left + wide[group]


def _axes(ax: Axes, shown: list[str], groups: list[str], unit: str, baseline: str) -> None:
    ax.set_yticks(range(len(shown)), [short(name) for name in shown])
    for label, name in zip(ax.get_yticklabels(), shown, strict=True):
        label.set_fontweight("bold" if name == baseline else "normal")
    ax.invert_yaxis()
    ax.grid(visible=False, axis="y")
    ax.set_xlabel(unit, color=INK)
    ax.legend(loc="upper center", bbox_to_anchor=(0.45, -0.12 - 0.3 / len(shown)), ncols=4)
