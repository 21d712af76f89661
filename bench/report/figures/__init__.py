"""The figures of a report, drawn by matplotlib without a display and without network."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bench.report.analysis import Analysis
from bench.report.figures import (
    ablations,
    cost,
    curves,
    dynamics,
    effects,
    kinds,
    memory,
    parts,
    tasks,
    throughput,
)
from bench.report.figures.style import Drawing, Empty

FIGURES: Mapping[str, Callable[[Analysis], Drawing | Empty]] = {
    "cost": cost.draw,
    "parts": parts.draw,
    "kinds": kinds.draw,
    "memory": memory.draw,
    "throughput": throughput.draw,
    "tasks": tasks.draw,
    "effects": effects.draw,
    "ablations": ablations.draw,
    "curves": curves.draw,
    "weights": dynamics.draw_weights,
    "gradients": dynamics.draw_gradients,
}
"""Every figure by the name of its file, in the order of the page."""
