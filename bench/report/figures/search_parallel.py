"""Parallel coordinates: the settings of every trial and what they came to."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.lines import one_line
from bench.report.figures.search_axis import UprightAxis, axis_of, brief, is_wide, number_axis
from bench.report.figures.style import INK, PAPER, WIDTH, Drawing, Empty, short
from bench.report.search import Objective, SearchRecord, Setting, Study, Trial

TITLE = "Settings of the trials"
MOST_PANELS = 6
MOST_SETTINGS, MOST_OBJECTIVES = 6, 3
"""Of a panel: its axes."""

MOST_TRIALS = 200
"""Of a panel: the best ones."""

COLOURS = LinearSegmentedColormap.from_list("worse to better", ("#d55e01", "#8f8f8f", "#0072b3"))
"""Seen on white and on dark. The ends differ by one from the colours that a page brightens on dark
screens, where the middle stays."""

_PANEL, _HEAD, _FOOT = 1.2, 0.72, 0.42
"""Inches: a panel, what is above it, what is below all of them."""

_LETTERS = 16
"""That a line above an axis has room for, and a tick, about."""

_STRIP = 24
"""Pieces of the axis that shows the colours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """A study's axes: the settings that its trials have, then the objectives."""

    study: Study
    settings: tuple[Setting, ...]
    objectives: tuple[Objective, ...]
    axes: tuple[UprightAxis, ...]
    trials: tuple[Trial, ...]
    """Complete ones, the best by the first objective last."""
    left_out: tuple[int, int]
    """How many settings, and how many trials, there are besides."""

    def line(self, trial: Trial) -> list[float]:
        """Where a trial stands at each axis; NaN where it has no such setting."""
        came_to = (o.shown(x) for o, x in zip(self.objectives, trial.values, strict=False))
        given = (trial.params.get(setting.name) for setting in self.settings)
        return [axis.place(x) for axis, x in zip(self.axes, (*given, *came_to), strict=True)]

    def standing(self, trial: Trial) -> float:
        """From 0 for the worst to 1 for the best by the first objective, on the scale of its axis.

        The places of its colour.
        """
        place = self.line(trial)[len(self.settings)]
        return place if self.objectives[0].maximize else 1 - place


def draw(search: SearchRecord) -> Drawing | Empty:
    """A panel a study: a line a complete trial over its settings and objectives."""
    found = [panel for study in search.studies if (panel := panel_of(study, search)).trials]
    if not found:
        return Empty(title=TITLE, reason="no trial was completed")
    shown = found[:MOST_PANELS]
    height = (_PANEL + _HEAD) * len(shown) + _FOOT
    figure = Figure(figsize=(WIDTH, height))
    figure.subplots_adjust(
        left=0.055,
        right=0.925,
        top=1 - _HEAD / height,
        bottom=_FOOT / height,
        hspace=_HEAD / _PANEL,
    )
    axes = figure.subplots(len(shown), squeeze=False)
    for ax, panel in zip(axes.flat, shown, strict=True):
        _draw(ax, panel)
    _legend(figure, shown)
    return Drawing(title=TITLE, caption=_caption(search, shown, found), figure=figure)


def panel_of(study: Study, search: SearchRecord) -> Panel:
    """The axes of a study and its trials; of many settings those that matter most."""
    first = search.objectives[0]
    every = [t for t in study.trials if t.state == "complete" and not math.isnan(t.values[0])]
    every.sort(key=lambda trial: trial.values[0], reverse=not first.maximize)
    trials = every[-MOST_TRIALS:]
    known = _settings(search, trials)
    ranked = sorted(known, key=lambda one: -study.importance.get(one.name, 0.0))
    settings = [one for one in known if one in ranked[:MOST_SETTINGS]]
    axes = [
        axis_of(setting, (t.params[setting.name] for t in trials if setting.name in t.params))
        for setting in settings
    ]
    objectives = search.objectives[:MOST_OBJECTIVES]
    for i, objective in enumerate(objectives):
        values = [objective.shown(trial.values[i]) for trial in trials]
        axes.append(number_axis(values, log=is_wide(values, share=objective.share)))
    return Panel(
        study=study,
        settings=tuple(settings),
        objectives=objectives,
        axes=tuple(axes),
        trials=tuple(trials),
        left_out=(len(known) - len(settings), len(every) - len(trials)),
    )


def _settings(search: SearchRecord, trials: Sequence[Trial]) -> list[Setting]:
    """Those that some of the trials have, in the order of the space."""
    had = {name for trial in trials for name in trial.params}
    settings = [setting for setting in search.space if setting.name in had]
    return settings + [Setting(n) for n in sorted(had - {one.name for one in search.space})]


def _draw(ax: Axes, panel: Panel) -> None:
    ax.set_axis_off()
    ax.set_xlim(0, len(panel.axes) - 1 or 1)
    ax.set_ylim(0, 1)
    ax.set_title(short(panel.study.label), fontsize=9, pad=30)
    for trial in panel.trials:
        _line(ax, panel, trial)
    colours = len(panel.settings)
    worst, best = (0, 1) if panel.objectives[0].maximize else (1, 0)
    ends = np.linspace(0, 1, _STRIP + 1)
    strip = [
        [(colours, low), (colours, min(1, high + 0.01))] for low, high in itertools.pairwise(ends)
    ]
    shades = COLOURS(np.linspace(worst, best, _STRIP))
    ax.add_collection(LineCollection(strip, colors=shades, linewidths=6, clip_on=False))
    names = brief([setting.name for setting in panel.settings])
    labels = [*(names[one.name] for one in panel.settings), *(o.label for o in panel.objectives)]
    for x, (axis, label) in enumerate(zip(panel.axes, labels, strict=True)):
        ax.plot([x, x], [0, 1], color=INK, linewidth=0.8, zorder=3, clip_on=False)
        ax.annotate(
            _wrapped(label),
            (x, 1),
            (0, 8),
            textcoords="offset points",
            ha="center",
            va="bottom",
            fontsize=7.5,
            annotation_clip=False,
        )
        _ticks(ax, x, axis, gap=6 if x == colours else 3)


def _line(ax: Axes, panel: Panel, trial: Trial) -> None:
    places, chosen = panel.line(trial), trial.number == panel.study.chosen
    across = range(len(places))
    if chosen:
        ax.plot(across, places, color=INK, linewidth=3.4, clip_on=False, zorder=2.4)
    ax.plot(
        across,
        places,
        color=COLOURS(panel.standing(trial)),
        linewidth=1.8 if chosen else 1.0,
        linestyle="-" if trial.feasible else "--",
        marker="o",  # a value between two that are missing has no line
        markersize=3,
        alpha=1 if chosen else 0.8,
        label=f"trial {trial.number}",
        clip_on=False,
        zorder=2.5 if chosen else 2,
    )


def _ticks(ax: Axes, x: int, axis: UprightAxis, gap: float) -> None:
    for place, text in axis.ticks:
        ax.annotate(
            short(text, _LETTERS),
            (x, place),
            (gap, 0),
            textcoords="offset points",
            va="center",
            fontsize=7,
            annotation_clip=False,
            zorder=4,
            bbox={"facecolor": PAPER, "edgecolor": "none", "alpha": 0.8, "pad": 0.6},
        )


def _wrapped(label: str) -> str:
    """A label in two lines where it is long and has a dot."""
    text = one_line(label)
    head, dot, tail = text.rpartition(".")
    lines = [head + dot, tail] if dot and len(text) > _LETTERS - 4 else [text]
    return "\n".join(short(line, _LETTERS) for line in lines)


def _legend(figure: Figure, shown: Sequence[Panel]) -> None:
    told = [
        (Line2D([], [], color=COLOURS(0.0), marker="o", markersize=3), "worse"),
        (Line2D([], [], color=COLOURS(1.0), marker="o", markersize=3), "better"),
    ]
    if any(trial.number == panel.study.chosen for panel in shown for trial in panel.trials):
        told.append((Line2D([], [], color=INK, linewidth=3.6), "chosen"))
    if not all(trial.feasible for panel in shown for trial in panel.trials):
        told.append((Line2D([], [], color=INK, linestyle="--", linewidth=1), "infeasible"))
    handles, labels = zip(*told, strict=True)
    figure.legend(handles, labels, loc="lower right", ncols=len(told), borderaxespad=0.2)


def _caption(search: SearchRecord, shown: Sequence[Panel], found: Sequence[Panel]) -> str:
    text = (
        "A line a complete trial, through its settings to what it came to; coloured by "
        f"{one_line(search.objectives[0].name)}, from the worst to the best of its study. A "
        "setting that a trial does not have is a gap in its line. Settings stand on the scale "
        "that they were searched on."
    )
    if len(shown) < len(found):
        text += f" The first {len(shown)} of {len(found)} studies."
    if any(panel.left_out[0] for panel in shown):
        text += f" Of each study at most the {MOST_SETTINGS} most important settings."
    if any(panel.left_out[1] for panel in shown):
        text += f" Of each study at most the best {MOST_TRIALS} trials."
    if len(search.objectives) > MOST_OBJECTIVES:
        text += f" The first {MOST_OBJECTIVES} of {len(search.objectives)} objectives."
    return text
