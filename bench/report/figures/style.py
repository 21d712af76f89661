"""What the figures look like, and how they become files."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib
import pandas as pd
from matplotlib.figure import Figure

from bench.lines import one_line

INK, LINE, PAPER = "#222222", "#d5d5d5", "#ffffff"
"""Text and axes, grid, background. The page replaces all colours in its copies on dark screens."""

BLUE, ORANGE = "#0072b2", "#d55e00"
"""Of Okabe and Ito (2008): told apart by colour-blind readers. Shapes tell the same in grey."""

WIDTH = 8.0
"""Inches; with DPI 1200 pixels."""

DPI = 150
LONGEST_NAME = 44

_RC: dict[Any, Any] = {
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.facecolor": "none",
    "figure.facecolor": PAPER,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "svg.fonttype": "none",  # text stays text: it can be read aloud, searched and copied
    "svg.hashsalt": "mtmm-bench",  # the same figure has the same ids
    "text.parse_math": False,  # a $ in a name is a $
    **{
        f"{what}color": INK
        for what in ("text.", "axes.edge", "axes.label", "xtick.", "ytick.", "axes.title")
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """A figure with its title and what a reader must know of it."""

    title: str
    caption: str
    figure: Figure


@dataclass(frozen=True, slots=True, kw_only=True)
class Empty:
    """A figure that has nothing to show, and why."""

    title: str
    reason: str


@contextmanager
def style() -> Iterator[None]:
    """The look of the figures, while they are drawn and written."""
    with matplotlib.rc_context(_RC), warnings.catch_warnings():
        # A name in a script that the font lacks: SVG falls back to the reader's fonts.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def to_svg(figure: Figure) -> bytes:
    """The figure as SVG: the same bytes each time, without a date."""
    file = io.BytesIO()
    figure.savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue()


def to_png(figure: Figure) -> bytes:
    """The figure as PNG, 1200 pixels wide."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=DPI)
    return file.getvalue()


def short(name: object, most: int = LONGEST_NAME) -> str:
    """A name of at most so many letters: the middle of a long one is left out."""
    text = one_line(name)
    half = (most - 1) // 2
    return text if len(text) <= most else f"{text[:half]}…{text[-half:]}"


def best_of(table: pd.DataFrame, most: int, always: Sequence[str]) -> pd.DataFrame:
    """At most that many rows of a comparison's table: the highest scores, and these variants.

    In the order of the table.
    """
    if len(table) <= most:
        return table
    kept = table["variant"].isin(always)
    ranked = table[~kept]["score"].sort_values(ascending=False, kind="stable")  # missing ones last
    return table[kept | table.index.isin(ranked.index[: most - int(kept.sum())])]
