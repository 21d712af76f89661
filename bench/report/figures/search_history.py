"""The history of a search: what every trial came to, and the best so far."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from bench.report.figures.search_axis import is_wide
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
    scale,
)
from bench.report.figures.style import BLUE, Drawing, Empty, short
from bench.report.search import SearchRecord, Study, Trial

TITLE = "History of the search"

_FOOT = 0.06
"""Height at which trials without a value stand, as a share of the panel."""


def draw(search: SearchRecord) -> Drawing | Empty:
    """A panel a study: the first objective of its trials by number, with the best so far."""
    objective = search.objectives[0]
    shown, left_out = first_of(search.studies, MOST_PANELS)
    trials = [trial for study in shown for trial in study.trials]
    values = [objective.shown(x) for trial in trials if not math.isnan(x := trial.values[0])]
    if not values:
        return Empty(title=TITLE, reason="no trial has a value yet")
    figure, axes = one_each(shown, sharex=True, sharey=True)
    label = scale(axes[0], "y", values, objective)
    for ax, study in zip(axes, shown, strict=True):
        _panel(ax, study, search)
    axes[0].xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes[0].set_ylim(*_ends([*values, *limits(search, objective.name)], share=objective.share))
    finish(figure, "trial", label)
    best = "highest" if objective.maximize else "lowest"
    caption = (
        f"A mark a trial. The line is the {best} value so far of a complete trial"
        f"{' that is within all constraints' if search.constraints else ''}. Marks at the foot: "
        "trials without a value. The best of many flatters: what it is worth on test is in the "
        "tables."
    )
    if len(search.objectives) > 1:
        caption += f" The first of {len(search.objectives)} objectives."
    return Drawing(title=TITLE, caption=caption + left_out, figure=figure)


def best_so_far(trials: Sequence[Trial], *, maximize: bool) -> list[tuple[int, float]]:
    """Number and best value up to there, at every complete and feasible trial with a value."""
    line: list[tuple[int, float]] = []
    for trial in sorted(trials, key=lambda trial: trial.number):
        value = trial.values[0]
        if kind_of(trial) != "complete" or math.isnan(value):
            continue
        before = line[-1][1] if line else value
        line.append((trial.number, max(before, value) if maximize else min(before, value)))
    return line


def _panel(ax: Axes, study: Study, search: SearchRecord) -> None:
    objective = search.objectives[0]
    ax.set_title(short(study.label, MOST_LETTERS), fontsize=8)
    line = best_so_far(study.trials, maximize=objective.maximize)
    if line:
        line.append((max(trial.number for trial in study.trials), line[-1][1]))
        numbers, best = zip(*line, strict=True)
        shown = [objective.shown(x) for x in best]
        ax.step(numbers, shown, where="post", color=BLUE, linewidth=1.4, label="best so far")
    for bound in limits(search, objective.name):
        ax.axhline(bound, label="limit", **LOOKS["limit"])
    for kind in dict.fromkeys(map(kind_of, study.trials)):
        of = [trial for trial in study.trials if kind_of(trial) == kind]
        valued = [trial for trial in of if not math.isnan(trial.values[0])]
        heights = [objective.shown(trial.values[0]) for trial in valued]
        mark(ax, kind, [trial.number for trial in valued], heights)
        bare = [trial.number for trial in of if math.isnan(trial.values[0])]
        mark(ax, kind, bare, [_FOOT] * len(bare), transform=ax.get_xaxis_transform())
    chosen = [t for t in study.trials if t.number == study.chosen and not math.isnan(t.values[0])]
    mark(ax, "chosen", [t.number for t in chosen], [objective.shown(t.values[0]) for t in chosen])


def _ends(values: Sequence[float], *, share: bool) -> tuple[float, float]:
    """Limits with room at the foot for trials without a value."""
    low, high = min(values), max(values)
    if is_wide(values, share=share):
        return low / (high / low) ** 0.2, high * (high / low) ** 0.1
    span = (high - low) or max(abs(high), 1.0)
    return low - 0.2 * span, high + 0.1 * span
