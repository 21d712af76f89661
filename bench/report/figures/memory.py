"""What of a step's memory each part holds over the step, in stacked areas."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from bench.report.analysis import Analysis
from bench.report.columns import three_digits
from bench.report.figures.stacked import COLOURS, legend_below
from bench.report.figures.style import WIDTH, Drawing, Empty, short
from bench.report.notes import listed
from bench.report.parts import group_of, ordered_groups, shown_as

TITLE = "Memory over a step"
MOST_PANELS = 6
PANELS_A_ROW = 2

Held = Mapping[str, NDArray[np.float64]]
"""MiB by part, as it is shown, at each moment of a timeline."""


def draw(analysis: Analysis) -> Drawing | Empty:
    """A panel a profiled variant, the baseline's first; colours are parts."""
    found = {
        variant: profile["memory_timeline"]
        for variant, profile in analysis.results.profiles.items()
        if profile.get("memory_timeline", {}).get("ms")
    }
    if not found:
        return Empty(title=TITLE, reason="no profile tells what its parts hold over a step")
    baseline = analysis.manifest["baseline"]
    variants = sorted(found, key=lambda name: name != baseline)
    shown = variants[:MOST_PANELS]
    held = {name: _held(found[name]["parts"]) for name in shown}
    groups = ordered_groups(group for of in held.values() for group in of)
    figure, axes = _laid_out(len(shown))
    for ax, name in zip(axes, shown, strict=True):
        peak = _areas(ax, np.asarray(found[name]["ms"]), held[name], groups)
        ax.set_title(
            f"{short(name)}\npeak {three_digits(peak)} MiB",
            fontsize=8,
            fontweight="bold" if name == baseline else "normal",
        )
    axes[0].set_ylim(0)
    patches = [Patch(color=_colour(i)) for i in range(len(groups))]
    legend_below(figure, patches, [short(name) for name in groups])
    caption = (
        "What each part holds of the memory taken in one training step: results kept for the "
        "backward pass, and gradients; stacked upwards in the order of the legend. What was there "
        "before the step is not in it. The step ran under a profiler, which slows it down: its "
        "milliseconds are no timing."
    )
    if len(shown) < len(variants):
        caption += f" Left out: {listed(variants[MOST_PANELS:])}."
    return Drawing(title=TITLE, caption=caption, figure=figure)


def _held(parts: Mapping[str, Sequence[float]]) -> Held:
    held: dict[str, Any] = {}
    for part, mib in parts.items():
        shown = shown_as(group_of(part))
        held[shown] = held.get(shown, 0.0) + np.asarray(mib, dtype=float)
    return held


def _laid_out(panels: int) -> tuple[Figure, list[Axes]]:
    columns = min(panels, PANELS_A_ROW)
    rows = math.ceil(panels / columns)
    figure = Figure(figsize=(WIDTH, 0.9 + 1.9 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, sharey=True, squeeze=False)
    for i, ax in enumerate(axes.flat):
        ax.set_visible(i < panels)
        if i + columns >= panels:  # nothing below
            ax.set_xlabel("milliseconds into the profiled step")
    for ax in axes[:, 0]:
        ax.set_ylabel("MiB")
    return figure, list(axes.flat)[:panels]


def _areas(ax: Axes, ms: NDArray[np.float64], held: Held, groups: Sequence[str]) -> float:
    """Draw them, the topmost first and each down to 0: the next one covers it. The peak."""
    tops = np.cumsum([held.get(group, np.zeros(len(ms))) for group in groups], axis=0)
    for i in reversed(range(len(groups))):
        if groups[i] in held:
            _steps(ax, ms, tops[i], _colour(i))
    ax.set_xlim(0, ms[-1])
    return float(tops[-1].max())


def _steps(ax: Axes, ms: NDArray[np.float64], top: NDArray[np.float64], colour: str) -> None:
    """Each value holds until the next moment; moments that change nothing are left out."""
    changes = np.flatnonzero(np.diff(top[:-1], prepend=np.nan) != 0)
    ax.stairs(top[changes], [*ms[changes], ms[-1]], baseline=0, fill=True, color=colour)


def _colour(i: int) -> str:
    return COLOURS[i % len(COLOURS)]
