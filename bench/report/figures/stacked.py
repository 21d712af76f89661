"""Horizontal bars out of coloured pieces, one row a variant."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.report.figures.style import INK, WIDTH, short

MOST_VARIANTS = 16

COLOURS = (
    *("#0072b3", "#56b4e9", "#009e73", "#e69f00", "#d55e01", "#cc79a7", "#f0e442"),
    *("#7f7f7f", "#bcbd22", "#8c564b", "#b2abd2", "#a6dba0"),
)
"""Of Okabe and Ito (2008), and five more; they repeat. Two differ by one from the colours that a
page brightens on dark screens, where they would become others of these."""

_LEGEND_COLUMNS, _LEGEND_LETTERS = 4, 100
"""At most, and what a row of a legend has room for, about."""


def rows_of(variants: Sequence[str]) -> tuple[Figure, Axes, list[str]]:
    """A figure with a row for each of the first variants, and these."""
    shown = list(variants[:MOST_VARIANTS])
    figure = Figure(figsize=(WIDTH, 1.5 + 0.5 * len(shown)), layout="constrained")
    return figure, figure.subplots(), shown


def stack(ax: Axes, wide: pd.DataFrame, offset: float, height: float) -> None:
    """A bar a row of the table at its place and `offset`, with a piece for each column."""
    left = pd.Series(0.0, index=wide.index)
    for i, name in enumerate(wide.columns):
        ax.barh(
            [place + offset for place in range(len(wide))],
            wide[name],
            height=height,
            left=left,
            color=COLOURS[i % len(COLOURS)],
            edgecolor="white",
            linewidth=0.4,
            label=short(name) if offset <= 0 else None,
        )
        left = left + wide[name]


def finish(ax: Axes, shown: Sequence[str], unit: str, baseline: str) -> None:
    """Names of variants, the baseline's bold, the unit, and the legend below."""
    ax.set_yticks(range(len(shown)), [short(name) for name in shown])
    for label, name in zip(ax.get_yticklabels(), shown, strict=True):
        label.set_fontweight("bold" if name == baseline else "normal")
    ax.invert_yaxis()
    ax.grid(visible=False, axis="y")
    ax.set_xlabel(unit, color=INK)
    figure = ax.get_figure(root=True)
    assert figure is not None
    legend_below(figure, *ax.get_legend_handles_labels())


def legend_below(figure: Figure, handles: Sequence[Artist], names: Sequence[str]) -> None:
    """In as many columns as the names have room for."""
    columns = _LEGEND_LETTERS // (6 + max(map(len, names)))
    figure.legend(
        handles,
        names,
        loc="outside lower center",
        ncols=max(1, min(_LEGEND_COLUMNS, columns)),
    )


def left_out(shown: Sequence[str], variants: Sequence[str]) -> str:
    """A sentence for the caption; empty where all are shown."""
    return f" The first {len(shown)} of {len(variants)} variants." * (len(shown) < len(variants))
