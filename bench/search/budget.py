"""The table of a search: every arm as it is and tuned, with the budget that went into it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from bench.compare import Comparison
from bench.lines import one_line
from bench.report.columns import MISSING, Column, interval, p_value, points
from bench.search.tuned import Found
from bench.searches import Search


def budget_columns(found: Sequence[Found], comparison: Comparison) -> list[Column]:
    """Arm, its trials and samples, val score of the best, test scores untuned and tuned.

    The difference is the tuned arm's to the tuned baseline, with its interval and Holm's p.
    """
    table = comparison.table.set_index("variant")

    def number(variant: str, column: str) -> float:
        return float(table[column].get(variant, math.nan)) if column in table else math.nan

    untuned = [number(one.arm.name, "score") for one in found]
    # An arm that is best as it is has no row of its own.
    tuned_name = [one.label if one.label in table.index else one.arm.name for one in found]
    tuned = [number(name, "score") for name in tuned_name]
    difference = [number(name, "difference") for name in tuned_name]
    low = [number(name, "difference_lo") for name in tuned_name]
    high = [number(name, "difference_hi") for name in tuned_name]
    p = [number(name, "p_holm") for name in tuned_name]
    return [
        Column("arm", tuple(one_line(one.arm.name) for one in found)),
        _column("trials", [float(one.finished + one.pruned) for one in found], "{:.0f}".format),
        _column("samples", [float(one.samples) for one in found], "{:,.0f}".format),
        _column("val of best\n%", [one.value for one in found], _percent),
        _column("untuned\n%", untuned, _percent),
        _column("tuned\n%", tuned, _percent),
        _column("difference\npoints", difference, points),
        Column(
            "95 % interval",
            tuple(
                MISSING if math.isnan(a) else interval(a, b) for a, b in zip(low, high, strict=True)
            ),
        ),
        _column("p (Holm)", p, p_value),
    ]


def budget_notes(found: Sequence[Found], search: Search) -> list[str]:
    """What the numbers are of, and where the budgets differ."""
    seeds = "1 seed" if search.seeds == 1 else f"{search.seeds} seeds"
    notes = [
        f"Trials: finished or pruned, {search.trials} for each arm, each the mean of "
        f"{search.objective} over {seeds}; samples are those that its trials have trained on.",
        "Untuned and tuned: the mean score on test, with seeds that no trial has used. "
        "Difference: the tuned arm to the tuned baseline.",
    ]
    short = [one for one in found if one.finished + one.pruned < search.trials]
    if short:
        names = ", ".join(one_line(one.arm.name) for one in short)
        notes.append(f"Not all of their trials: {names}. The same command goes on with them.")
    failed = sum(one.failed for one in found)
    if failed:
        notes.append(f"{failed} trials have failed, or their process was killed; they are extra.")
    samples = [one.samples for one in found]
    if max(samples) > 1.01 * min(samples):
        low, high = min(samples), max(samples)
        notes.append(f"Arms have not trained on equally many samples: {low:,} to {high:,}.")
    return notes


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def _column(heading: str, values: Sequence[float], show: Callable[[float], str]) -> Column:
    cells = tuple(MISSING if math.isnan(x) else show(x) for x in values)
    return Column(heading, cells, tuple(values))
