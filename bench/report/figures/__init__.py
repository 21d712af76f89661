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
    search_front,
    search_history,
    search_importance,
    search_parallel,
    tasks,
    throughput,
)
from bench.report.figures.style import Drawing, Empty
from bench.report.search import SearchRecord

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

SEARCH_FIGURES: Mapping[str, Callable[[SearchRecord], Drawing | Empty]] = {
    "search_history": search_history.draw,
    "search_parallel": search_parallel.draw,
    "search_importance": search_importance.draw,
    "search_front": search_front.draw,
}
"""Those of a suite that a search has made, in a section of their own."""
