"""What each part of a step takes, forward and backward, in stacked bars."""

from __future__ import annotations

from bench.report.analysis import Analysis
from bench.report.figures.stacked import finish, left_out, rows_of, stack
from bench.report.figures.style import Drawing, Empty
from bench.report.parts import BACKWARD, FORWARD, ordered_groups, with_groups

TITLE = "Where the time goes"


def draw(analysis: Analysis) -> Drawing | Empty:
    """Two bars a profiled variant, forward above backward; colours are parts."""
    if not len(analysis.parts):
        return Empty(title=TITLE, reason="no variant was profiled (mtmm-bench profile does)")
    table, unit = with_groups(analysis.parts)
    table = table[table["direction"].isin([FORWARD, BACKWARD])]
    variants = list(dict.fromkeys(table["variant"]))
    figure, ax, shown = rows_of(variants)
    groups = ordered_groups(table["shown"])
    for direction, offset in ((FORWARD, -0.2), (BACKWARD, 0.2)):
        of = table[table["direction"] == direction]
        wide = of.pivot_table(index="variant", columns="shown", values="value", aggfunc="sum")
        wide = wide.reindex(index=shown, columns=groups, fill_value=0.0).fillna(0.0)
        stack(ax, wide, offset, height=0.36)
    finish(ax, shown, unit, analysis.manifest["baseline"])
    caption = (
        "Above: forward, with losses; below: backward, with the weighting. Shares of a profiled "
        "step, taken of the times of the step without the profiler."
        f"{left_out(shown, variants)}"
    )
    return Drawing(title=TITLE, caption=caption, figure=figure)
