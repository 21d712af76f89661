"""Which searched settings matter: bars for each study."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.lines import one_line
from bench.report.figures.search_axis import number_text
from bench.report.figures.style import BLUE, WIDTH, Drawing, Empty, short
from bench.report.search import SearchRecord, Study

TITLE = "Importance of settings"
MOST_STUDIES = 12
MOST_BARS = 8
"""Of a study: its most important settings."""


def draw(search: SearchRecord) -> Drawing | Empty:
    """A bar a setting and study, the most important one first."""
    known = [study for study in search.studies if study.importance]
    if not known:
        return Empty(title=TITLE, reason="too few trials to say, or one setting alone")
    shown = known[:MOST_STUDIES]
    rows = sum(len(_bars(study)) for study in shown)
    height = 1.0 + 0.22 * (rows + 1.5 * len(shown))
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    ax = figure.subplots()
    _rows(ax, shown)
    ax.set_xlabel(f"importance for {one_line(search.objectives[0].name)}")
    ax.grid(visible=False, axis="y")
    ax.spines["left"].set_visible(False)
    caption = (
        "PED-ANOVA (Watanabe et al., 2023): how much the values of a setting in the best trials "
        "differ from those in all; those of a study sum to 1. Few trials make it rough, and it "
        "says nothing of values outside of the space."
    )
    none = [study.label for study in search.studies if not study.importance]
    if none:
        caption += f" Too few trials to say: {', '.join(map(short, none))}."
    if len(shown) < len(known):
        caption += f" The first {len(shown)} of {len(known)} studies."
    if any(len(study.importance) > MOST_BARS for study in shown):
        caption += f" Of each study the {MOST_BARS} most important settings."
    return Drawing(title=TITLE, caption=caption, figure=figure)


def _bars(study: Study) -> list[tuple[str, float]]:
    return sorted(study.importance.items(), key=lambda item: -item[1])[:MOST_BARS]


def _rows(ax: Axes, studies: list[Study]) -> None:
    y, ticks, labels = 0.0, list[float](), list[str]()
    for study in studies:
        ax.text(
            0.0,
            y,
            short(study.label),
            transform=ax.get_yaxis_transform(),
            va="center",
            weight="bold",
        )
        for name, value in _bars(study):
            y += 1
            ticks.append(y)
            labels.append(short(name))
            ax.barh(y, value, height=0.62, color=BLUE)
            ax.annotate(
                number_text(round(value, 2)),
                (max(value, 0), y),
                (4, 0),
                textcoords="offset points",
                va="center",
            )
        y += 1.5
    ax.set_yticks(ticks, labels)
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(y - 0.8, -0.7)
    ax.margins(x=0.08)
    ax.set_xlim(left=0)
