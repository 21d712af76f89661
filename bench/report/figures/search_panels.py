"""Small panels, one a study, in rows of three, with a common foot."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import Formatter, LogLocator, MaxNLocator, NullLocator

from bench.report.figures.search_axis import is_wide, number_text, number_texts
from bench.report.figures.style import BLUE, INK, ORANGE, PAPER, WIDTH
from bench.report.search import Quantity, SearchRecord, Study, Trial

MOST_PANELS = 12
PANELS_A_ROW = 3

_PANEL, _ALONE, _HEAD, _FOOT = 1.5, 2.4, 0.32, 0.72
"""Inches: a panel, one in the only row, what is above it, what is below all of them."""

MOST_LETTERS = 34
"""That the name above a panel has room for, about."""

LOOKS: Mapping[str, Mapping[str, Any]] = {
    "complete": {"marker": "o", "color": BLUE, "markersize": 4},
    "on the front": {"marker": "o", "color": BLUE, "markersize": 5},
    "dominated": {"marker": "o", "color": INK, "markersize": 4, "alpha": 0.35},
    "infeasible": {"marker": "s", "color": ORANGE, "markersize": 4.5, "markerfacecolor": PAPER},
    "pruned": {"marker": "v", "color": INK, "markersize": 4.5, "markerfacecolor": PAPER},
    "failed": {"marker": "x", "color": ORANGE, "markersize": 5, "markeredgewidth": 1.6},
    "running": {"marker": ".", "color": INK, "markersize": 3},
    "chosen": {"marker": "D", "color": INK, "markersize": 9, "markerfacecolor": "none"},
    "limit": {"color": ORANGE, "linestyle": "--", "linewidth": 1},
}
"""Of the marks by what they mean; shapes and fills tell the same as colours."""


def kind_of(trial: Trial) -> str:
    """What the mark of a trial says of it."""
    return "infeasible" if trial.state == "complete" and not trial.feasible else trial.state


def mark(ax: Axes, kind: str, x: Sequence[float], y: Sequence[float], **more: Any) -> None:
    """Marks of one kind; the figure's legend finds them by it."""
    if len(x):
        ax.plot(x, y, linestyle="none", label=kind, zorder=3, **LOOKS[kind], **more)


def panels(rows: int, columns: int, **shared: Any) -> tuple[Figure, list[list[Axes]]]:
    """A figure with `rows` of `columns` empty panels, and room below for a label and a legend."""
    panel = _PANEL if rows > 1 else _ALONE
    height = (_HEAD + panel) * rows + _FOOT
    figure = Figure(figsize=(WIDTH, height))
    # By hand: laying out a dozen panels automatically takes longer than all else.
    figure.subplots_adjust(
        left=0.085,
        right=0.985,
        top=1 - _HEAD / height,
        bottom=_FOOT / height,
        wspace=0.1,
        hspace=_HEAD / panel,
    )
    axes = figure.subplots(rows, columns, squeeze=False, **shared)
    return figure, [list(row) for row in axes]


def one_each(studies: Sequence[Study], **shared: Any) -> tuple[Figure, list[Axes]]:
    """A figure with a panel for each study; those of a row's place without one are hidden."""
    count = len(studies)
    columns = min(PANELS_A_ROW, count)
    figure, rows = panels(math.ceil(count / columns), columns, **shared)
    axes = [ax for row in rows for ax in row]
    for i, ax in enumerate(axes):
        ax.tick_params(labelbottom=i + columns >= count, length=2)
        ax.set_visible(i < count)
    return figure, axes[:count]


def finish(figure: Figure, across: str, up: str) -> None:
    """The labels that all panels share, and a legend of what is marked in any."""
    height = figure.get_figheight()
    figure.supxlabel(across, fontsize=9, y=0.3 / height)
    figure.supylabel(up, fontsize=9, x=0.005)
    found: dict[str, Artist] = {}
    for ax in figure.axes:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            found.setdefault(str(label), handle)
    known = [name for name in ("best so far", *LOOKS) if name in found]
    handles = [found[name] for name in known]
    figure.legend(
        handles,
        known,
        loc="lower right",
        ncols=len(known),
        fontsize=8,
        handlelength=1.6,
        columnspacing=1.2,
        borderaxespad=0.2,
    )


def scale(ax: Axes, axis: str, values: Iterable[float], of: Quantity) -> str:
    """Put an axis on a log scale where its values are far apart; the label, which says so."""
    along = ax.xaxis if axis == "x" else ax.yaxis
    log = is_wide(values, share=of.share)
    if log:
        ax.set(**{f"{axis}scale": "log"})
        along.set_major_locator(LogLocator(subs=(1, 2, 5)))
        along.set_minor_locator(NullLocator())
    else:
        along.set_major_locator(MaxNLocator(5))
    along.set_major_formatter(_Numbers())
    return f"{of.label}, log scale" if log else of.label


class _Numbers(Formatter):
    """Numbers without an offset or a power of ten in a corner."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        return number_text(x)

    def format_ticks(self, values: Sequence[float]) -> list[str]:
        """All of an axis's together, so that no two are written alike."""
        return number_texts(values)


def limits(search: SearchRecord, name: str) -> list[float]:
    """The bounds that constraints set to what is called so, in the unit of its label."""
    of = [one for one in search.constraints if one.name == name]
    return [one.shown(x) for one in of for x in (one.low, one.high) if math.isfinite(x)]


def first_of(studies: Sequence[Study], most: int) -> tuple[Sequence[Study], str]:
    """The first studies, and a sentence for the caption, empty where these are all."""
    shown = studies[:most]
    left_out = len(studies) > len(shown)
    return shown, f" The first {len(shown)} of {len(studies)} studies." if left_out else ""
