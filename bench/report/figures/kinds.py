"""The kinds of work in a step, in stacked bars."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.container import BarContainer

from bench.report.analysis import Analysis
from bench.report.figures.stacked import COLOURS, finish, left_out, rows_of, stack
from bench.report.figures.style import Drawing, Empty
from bench.report.parts import kinds_table

TITLE = "Kinds of work"

_FULL = {
    "conv": "convolution (conv)",
    "gemm": "matrix product (gemm)",
    "norm": "normalisation (norm)",
    "reduce": "reduction (reduce)",
}
"""What the table has no room for."""

_TOLD = 5.0
"""Percent from which on there is room for the number."""

_LIGHT = "#fdfdfd"  # not white, which a page replaces on dark screens
_ON_DARK = {COLOURS[0], COLOURS[9]}


def draw(analysis: Analysis) -> Drawing | Empty:
    """A bar a profiled variant; colours are kinds of kernels, or of operators."""
    table = kinds_table(analysis.results.profiles)
    if not len(table):
        return Empty(title=TITLE, reason="no variant was profiled (mtmm-bench profile does)")
    variants = list(table["variant"])
    figure, ax, shown = rows_of(variants)
    wide = 100 * table.set_index("variant").loc[shown].rename(columns=_FULL)
    stack(ax, wide, offset=0.0, height=0.6)
    _numbers(ax)
    finish(ax, shown, "% of work", analysis.manifest["baseline"])
    ax.set_xlim(0, 100)
    caption = (
        "Share of each kind of work in a profiled step, forward, backward and optimizer together, "
        f"by the names of its kernels or operators.{left_out(shown, variants)}"
    )
    return Drawing(title=TITLE, caption=caption, figure=figure)


def _numbers(ax: Axes) -> None:
    """Percent in the pieces that are long enough: they tell them apart in grey as well."""
    for i, bars in enumerate(one for one in ax.containers if isinstance(one, BarContainer)):
        colour = _LIGHT if COLOURS[i % len(COLOURS)] in _ON_DARK else "#000000"
        told = [f"{bar.get_width():.0f}" if bar.get_width() >= _TOLD else "" for bar in bars]
        ax.bar_label(bars, told, label_type="center", fontsize=7.5, color=colour)
