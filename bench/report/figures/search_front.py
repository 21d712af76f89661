"""The Pareto front of a search with several objectives."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.axes import Axes

from bench.report.figures.search_panels import (
    LOOKS,
    MOST_LETTERS,
    MOST_PANELS,
    finish,
    first_of,
    kind_of,
    limits,
    mark,
    one_each,
    panels,
    scale,
)
from bench.report.figures.style import BLUE, Drawing, Empty, short
from bench.report.search import Objective, SearchRecord, Study, Trial

TITLE = "Pareto front of the search"
MOST_PAIRS = 3
MOST_ROWS = 6
"""Of panels, one row a study, where there are several pairs."""


def draw(search: SearchRecord) -> Drawing | Empty:
    """A panel a study and pair of objectives: the first against each of the others."""
    pairs = list(range(1, len(search.objectives)))[:MOST_PAIRS]
    if not pairs:
        return Empty(title=TITLE, reason="the search has one objective")
    if not any(_drawn(study, pair) for study in search.studies for pair in pairs):
        return Empty(title=TITLE, reason="no trial was completed")
    if len(pairs) == 1:
        shown, left_out = first_of(search.studies, MOST_PANELS)
        figure, axes = one_each(shown, sharex=True, sharey=True)
        grid = [[ax] for ax in axes]
    else:
        shown, left_out = first_of(search.studies, MOST_ROWS)
        figure, grid = panels(len(shown), len(pairs), sharex="col", sharey=True)
    up = scale(grid[0][0], "y", *_values(search.objectives[0], shown, 0))
    across = ""
    for pair, first, last in zip(pairs, grid[0], grid[-1], strict=True):
        label = scale(first, "x", *_values(search.objectives[pair], shown, pair))
        if len(pairs) > 1:
            last.set_xlabel(label)
        else:
            across = label
    for row, study in zip(grid, shown, strict=True):
        row[0].set_title(short(study.label, MOST_LETTERS), fontsize=8)
        for ax, pair in zip(row, pairs, strict=True):
            _panel(ax, study, search, pair)
    finish(figure, across, up)
    return Drawing(title=TITLE, caption=_caption(search, pairs) + left_out, figure=figure)


def front_line(study: Study, pair: int) -> list[Trial]:
    """The trials of the front that can be drawn, by the other objective of the pair, upwards."""
    front = [trial for trial in _drawn(study, pair) if trial.number in study.front]
    return sorted(front, key=lambda trial: (trial.values[pair], trial.values[0]))


def _drawn(study: Study, pair: int) -> list[Trial]:
    """Complete trials with a value of both."""
    return [
        trial
        for trial in study.trials
        if trial.state == "complete" and not math.isnan(trial.values[0] + trial.values[pair])
    ]


def _panel(ax: Axes, study: Study, search: SearchRecord, pair: int) -> None:
    up, across = search.objectives[0], search.objectives[pair]

    def at(trials: Sequence[Trial]) -> tuple[list[float], list[float]]:
        places = [(across.shown(t.values[pair]), up.shown(t.values[0])) for t in trials]
        return [x for x, _ in places], [y for _, y in places]

    drawn, front = _drawn(study, pair), front_line(study, pair)
    if len(search.objectives) == 2 and front:
        # The corner of a step is what a trial reaches with as much of the other, or better.
        ax.step(*at(front), where="pre" if across.maximize else "post", color=BLUE, linewidth=1.2)
    rest = [trial for trial in drawn if trial.number not in study.front]
    mark(ax, "dominated", *at([t for t in rest if kind_of(t) == "complete"]))
    mark(ax, "infeasible", *at([t for t in rest if kind_of(t) == "infeasible"]))
    mark(ax, "on the front", *at(front))
    mark(ax, "chosen", *at([t for t in drawn if t.number == study.chosen]))
    for bound in limits(search, across.name):
        ax.axvline(bound, label="limit", **LOOKS["limit"])
    for bound in limits(search, up.name):
        ax.axhline(bound, label="limit", **LOOKS["limit"])


def _values(
    objective: Objective, studies: Sequence[Study], place: int
) -> tuple[list[float], Objective]:
    """What complete trials have of an objective, and the objective."""
    trials = [trial for study in studies for trial in study.trials if trial.state == "complete"]
    return [objective.shown(trial.values[place]) for trial in trials], objective


def _caption(search: SearchRecord, pairs: list[int]) -> str:
    text = (
        "A point a complete trial. On the front: no other trial is as good in every objective and "
        "better in one"
        f"{', of those that are within all constraints' if search.constraints else ''}."
    )
    if len(search.objectives) > 2:
        text += " The front is that of all objectives, so it looks ragged in two of them."
    if len(pairs) < len(search.objectives) - 1:
        text += f" Pairs with the first {len(pairs)} of {len(search.objectives) - 1} others."
    return text
