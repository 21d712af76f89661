"""The table of a search: every arm as it is and tuned, with the budget that went into it."""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Iterator, Sequence

from bench.compare import Comparison
from bench.lines import one_line
from bench.report.columns import MISSING, Column, interval, p_value, points
from bench.search.tuned import Found
from bench.searches import Search
from mtmm.settings import listed


def budget_columns(found: Sequence[Found], search: Search, comparison: Comparison) -> list[Column]:
    """Arm, its trials and samples, what its best trial came to, test scores untuned and tuned.

    The difference is the tuned arm's to the tuned baseline, with its interval and Holm's p.
    """
    table = comparison.table.set_index("variant")

    def numbers(rows: Sequence[str | None], column: str) -> list[float]:
        known = table[column].to_dict() if column in table else {}
        return [float(known.get(row, math.nan)) for row in rows]

    rows = [row_of(one, found, table.index) for one in found]
    low, high = numbers(rows, "difference_lo"), numbers(rows, "difference_hi")
    return [
        Column("arm", tuple(one_line(one.search) for one in found)),
        number_column("trials", [float(one.spent) for one in found], "{:.0f}".format),
        number_column("samples", [float(one.samples) for one in found], "{:,.0f}".format),
        *(_best(name, found) for name in dict.fromkeys(search.columns)),
        number_column("untuned\n%", numbers([one.arm.name for one in found], "score"), percent),
        number_column("tuned\n%", numbers(rows, "score"), percent),
        number_column("difference\npoints", numbers(rows, "difference"), points),
        Column(
            "95 % interval",
            tuple(
                MISSING if math.isnan(a) else interval(a, b) for a, b in zip(low, high, strict=True)
            ),
        ),
        number_column("p (Holm)", numbers(rows, "p_holm"), p_value),
    ]


def row_of(one: Found, found: Sequence[Found], rows: Container[str]) -> str | None:
    """The variant of a tuned arm: what was found twice, or is as it was untuned, has one row."""
    if one.config is None:
        return None
    alike = [other.label for other in found if other.config == one.config]
    return next((label for label in (one.label, *alike) if label in rows), one.arm.name)


def _best(column: str, found: Sequence[Found]) -> Column:
    """What the chosen trials came to."""
    values = [one.columns.get(column, math.nan) for one in found]
    if column == "val.score":
        return number_column("val of best\n%", values, percent)
    return number_column(f"{column}\nof best", values, _plain)


def budget_notes(found: Sequence[Found], search: Search) -> list[str]:
    """What the numbers are of, and where the budgets differ."""
    seeds = "1 seed" if search.seeds == 1 else f"{search.seeds} seeds"
    what = "arm" if search.repeats == 1 else "search of an arm"
    notes = [
        f"Trials: finished or pruned, {search.trials} for each {what}, each the mean of "
        f"{listed(search.objectives)} over {seeds}; samples are those that its trials have "
        "trained on.",
        "Untuned and tuned: the mean score on test, with seeds that no trial has used. "
        "Difference: the tuned arm to the tuned baseline.",
        *_choice_notes(search),
    ]
    none = [one for one in found if one.config is None]
    if none:
        within = " within the constraints" if search.constraints else ""
        names = ", ".join(one_line(one.search) for one in none)
        notes.append(f"No trial was completed{within}, so there is nothing to compare: {names}.")
    short = [one for one in found if one.spent < one.asked]
    if short:
        names = ", ".join(one_line(one.search) for one in short)
        notes.append(f"Not all of their trials: {names}. The same command goes on with them.")
    small = [one for one in found if one.asked < search.trials]
    if small:
        names = ", ".join(f"{one_line(one.search)} ({one.asked})" for one in small)
        notes.append(f"Their grids hold fewer combinations that did not fail: {names}.")
    if search.pruner != "none" and not any(one.pruned for one in found):
        notes.append(f"No trial was given up by the pruner ({search.pruner}).")
    failed = sum(one.failed for one in found)
    if failed:
        what = "1 trial has" if failed == 1 else f"{failed} trials have"
        notes.append(f"{what} failed, maybe with the process; failed ones are extra.")
    samples = [one.samples for one in found]
    if max(samples) > 1.01 * min(samples):
        low, high = min(samples), max(samples)
        notes.append(f"Arms have not trained on equally many samples: {low:,} to {high:,}.")
    return notes


def _choice_notes(search: Search) -> Iterator[str]:
    if search.constraints:
        bounds = listed(str(one) for one in search.constraints)
        yield f"Chosen is the best trial with {bounds}, as measured in the search."
    if len(search.objectives) > 1:
        text = "Of the trials that no other is better than in everything, the one that is best in "
        yield f"{text}{search.objectives[0]} is chosen; search.json has the whole front."


def percent(share: float) -> str:
    """A share in percent."""
    return f"{100 * share:.1f}"


def number_column(heading: str, values: Sequence[float], show: Callable[[float], str]) -> Column:
    """A column of numbers, some of which may be missing."""
    cells = tuple(MISSING if math.isnan(x) else show(x) for x in values)
    return Column(heading, cells, tuple(values))


def _plain(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
