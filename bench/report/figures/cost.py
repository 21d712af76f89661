"""Score against step time, with the Pareto front."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from bench.compare import Comparison
from bench.report.analysis import Analysis
from bench.report.figures.style import BLUE, INK, ORANGE, PAPER, WIDTH, Drawing, Empty, short
from bench.report.pareto import RULE, costed, envelope, on_front

TITLE = "Score against step time"

LONGEST_GAP = 40
"""Points between a name and its point: it stands behind the interval unless that is longer."""

LETTER = 4.9
"""Points that a letter of a name takes, about."""

MOST_LABELS = 20
"""With more variants only the line's and the baseline are named."""


def draw(analysis: Analysis) -> Drawing | Empty:
    """A point a variant: mean score against step time, intervals, front."""
    comparison = analysis.comparison
    table = costed(comparison)
    if table.empty:
        return Empty(title=TITLE, reason="no variant was timed beside the baseline")
    table = table.assign(front=on_front(table))
    figure = Figure(figsize=(WIDTH, 5))
    figure.subplots_adjust(left=0.075, right=0.99, bottom=0.095, top=0.98)
    ax = figure.subplots()
    line = envelope(table)
    ax.step(
        line["step_ms"], 100 * line["score"], where="post", color=INK, linewidth=1, linestyle=":"
    )
    for front in (False, True):
        rows = table[(table["front"] == front) & (table["variant"] != comparison.baseline)]
        colour, marker = (BLUE, "o") if front else (ORANGE, "s")
        _points(ax, rows, front, colour, marker)
    base = table[table["variant"] == comparison.baseline]
    _points(ax, base, bool(base["front"].all()), INK, "D")
    _axes(ax, table, comparison.batch_size)
    named = table
    if len(table) > MOST_LABELS:
        named = table[table.index.isin(line.index) | (table["variant"] == comparison.baseline)]
    _label(ax, named, _legend(ax, table, comparison.baseline))
    return Drawing(title=TITLE, caption=_caption(table, len(named), comparison), figure=figure)


def _points(ax: Axes, rows: pd.DataFrame, front: bool, colour: str, marker: str) -> None:
    score, lo, hi = (100 * rows[name] for name in ("score", "score_lo", "score_hi"))
    ax.errorbar(
        rows["step_ms"],
        score,
        xerr=[rows["step_ms"] - rows["step_lo_ms"], rows["step_hi_ms"] - rows["step_ms"]],
        yerr=[score - lo, hi - score],
        linestyle="none",
        marker=marker,
        markersize=6,
        color=colour,
        markerfacecolor=colour if front else PAPER,
        elinewidth=0.9,
        alpha=0.9 if len(rows) <= MOST_LABELS else 0.5,
    )


def _axes(ax: Axes, table: pd.DataFrame, batch_size: int | None) -> None:
    ends = table[["step_ms", "step_lo_ms", "step_hi_ms"]].to_numpy(np.float64)
    low, high = float(np.nanmin(ends)), float(np.nanmax(ends))
    scale = ""
    if high > 2 * low:
        scale = ", log scale"
        ax.set_xscale("log")
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8)))
        ax.xaxis.set_minor_locator(NullLocator())
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    room = max(high / low, 1.2)
    longest = max(map(len, map(short, table["variant"])))
    share = min((9 + LETTER * longest) / (72 * WIDTH * 0.9), 0.5)
    # Names stand to the right of their points.
    ax.set_xlim(low / room**0.06, high * room ** (share / (1 - share)))
    ax.set_xlabel(f"step time, ms (batch size {batch_size}{scale})")
    ax.set_ylabel("score, % (mean over seeds)")


def _legend(ax: Axes, table: pd.DataFrame, baseline: str) -> Legend:
    def sample(marker: str, colour: str, front: bool) -> Line2D:
        face = colour if front else PAPER
        return Line2D([], [], linestyle="none", marker=marker, color=colour, markerfacecolor=face)

    base_on_front = bool(table.loc[table["variant"] == baseline, "front"].all())
    told = [(sample("D", INK, base_on_front), "baseline")]
    told.append((sample("o", BLUE, True), "on the front"))
    if not table["front"].all():
        told.append((sample("s", ORANGE, False), "dominated"))
    told.append((ax.lines[0], "highest score so far"))
    handles, labels = zip(*told, strict=True)
    return ax.legend(handles, labels, loc="lower right")


def _label(ax: Axes, table: pd.DataFrame, legend: Legend) -> None:
    """Names beside their points, each moved up or down until it covers no other."""
    figure = ax.get_figure(root=True)
    assert figure is not None
    figure.draw_without_rendering()  # from here on the limits stay: places in pixels are known
    size = figure.dpi / 72
    height, box = 10 * size, legend.get_window_extent()
    places = _pixels(ax, table)
    taken = [(box.x0, box.x1, box.y0, box.y1)]
    taken += [(x - 5 * size, x + 5 * size, y - 5 * size, y + 5 * size) for x, y in places]
    ends = [x for x, _ in _pixels(ax, table, "step_hi_ms")]
    rows = zip(places, ends, _data(table), map(short, table["variant"]), strict=True)
    for (x, y), end, place, name in sorted(rows):
        gap = max(9, (end - x) / size + 3)
        gap = size * (gap if gap < LONGEST_GAP else 9)
        left, width = x + gap, LETTER * size * len(name)
        for shift in _outward():
            low = y - height / 2 + shift * height / 2
            place_of_name = (left, left + width, low, low + height)
            if not any(_overlap(place_of_name, other) for other in taken):
                break
        taken.append(place_of_name)
        line = {
            "arrowstyle": "-",
            "color": INK,
            "linewidth": 0.5,
            "shrinkA": 0,
            "shrinkB": 3,
            "relpos": (0, 0.5),
        }
        ax.annotate(
            name,
            xy=place,
            xytext=(gap / size, shift * height / 2 / size),
            textcoords="offset points",
            va="center",
            fontsize=8,
            bbox={"facecolor": PAPER, "edgecolor": "none", "alpha": 0.75, "pad": 0.6},
            arrowprops=line if shift else None,
        )


def _data(table: pd.DataFrame, time: str = "step_ms") -> list[tuple[float, float]]:
    return list(zip(table[time].fillna(table["step_ms"]), 100 * table["score"], strict=True))


def _pixels(ax: Axes, table: pd.DataFrame, time: str = "step_ms") -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in ax.transData.transform(_data(table, time))]


def _overlap(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return a[0] < b[1] and b[0] < a[1] and a[2] < b[3] and b[2] < a[3]


def _outward(most: int = 60) -> Iterator[int]:
    """0, 1, -1, 2, -2, …"""
    yield 0
    for shift in range(1, most):
        yield from (shift, -shift)


def _caption(table: pd.DataFrame, named: int, comparison: Comparison) -> str:
    text = (
        f"{RULE} On the front: {int(table['front'].sum())} of {len(table)}. Bars: 95 % t interval "
        "of the score over seeds, 95 % t interval of the step time over the rounds of its block. "
        "The dotted line joins the highest mean scores up to each step time."
    )
    if named < len(table):
        text += f" Of {len(table)} variants only those on the line and the baseline are named."
    left_out = int(comparison.table["step_ratio"].notna().sum()) - len(table)
    if left_out:
        text += (
            f" Left out: {left_out} without a finished seed, or with other tasks and so another "
            "score."
        )
    return text
