"""What a comparison says, in two or three sentences: who is better, and what it costs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from bench.compare import TO_BEST, Comparison
from bench.contrasts import POWER
from bench.lines import one_line
from bench.report.columns import interval, p_value, three_digits, times
from bench.report.notes import counted, joined, listed
from bench.report.pareto import costed, on_front

Row = Mapping[str, Any]
"""A variant's row of a comparison's table."""


class Comparator(NamedTuple):
    """What variants are told to be better or worse than: how its columns begin, and its names."""

    prefix: str
    kind: str
    name: str


def verdict(comparison: Comparison) -> tuple[str, ...]:
    """The differences to the baseline and to a second comparator; the cost of the best variant."""
    told, power = [], _power(comparison)
    for comparator in _comparators(comparison):
        tested = _tested(comparison, comparator.prefix)
        sentence = _difference(comparison, tested, comparator)
        if tested and all(row["verdict"] != "better" for row in tested):
            sentence, power = f"{sentence}{power}", ""  # it is that of the family: told once
        told.append(f"{sentence}.")
    return (*told, _cost(comparison))


def _comparators(comparison: Comparison) -> list[Comparator]:
    """Those that some variant was to be tested against; the baseline where there is none."""
    kinds = {"": ("the baseline", "the baseline"), TO_BEST: ("the best on val", "the best-on-val")}
    found = {
        name: Comparator(prefix, kinds[prefix][0], f"{kinds[prefix][1]} {one_line(name)}")
        for prefix, name in comparison.comparators.items()
    }
    wanted = [one for name, one in found.items() if comparison.members - {name}]
    return wanted or [found[comparison.baseline]]


def best(comparison: Comparison) -> Row | None:
    """The variant of the largest difference to the baseline; the baseline where none is above zero.

    Not that of the highest score, which is another thing over other tasks. None without tests.
    """
    tested = _tested(comparison)
    if not tested:
        return None
    better = [row for row in tested if row["verdict"] == "better"]
    row = max(better or tested, key=_by_difference)
    return row if row["difference"] > 0 else _row_of(comparison, comparison.baseline)


def _tested(comparison: Comparison, prefix: str = "") -> list[Row]:
    """The rows tested against a comparator, with the columns about it under their plain names."""
    table = comparison.table
    rows = _rows(table[table[f"{prefix}p_holm"].notna()])
    return [
        {**row, **{key.removeprefix(prefix): row[key] for key in row if key.startswith(prefix)}}
        for row in rows
    ]


def _rows(table: pd.DataFrame) -> list[Row]:
    return [{str(key): value for key, value in row.items()} for row in table.to_dict("records")]


def _row_of(comparison: Comparison, variant: str) -> Row:
    table = comparison.table
    return _rows(table[table["variant"] == variant])[0]


def _by_difference(row: Row) -> float:
    return float(row["difference"])


def _difference(comparison: Comparison, tested: Sequence[Row], comparator: Comparator) -> str:
    """Who is better or worse than a comparator, without a full stop."""
    kind, name = comparator.kind, comparator.name
    if not tested:
        return (
            f"Nothing is tested against {name}: no variant shares two finished seeds with it "
            f"(n = {counted(comparison.table['n'])})"
        )
    better, worse = ([r for r in tested if r["verdict"] == word] for word in ("better", "worse"))
    count = {"better": len(better), "worse": len(worse)}
    if better:
        rest = _rest({**count, "better": len(better) - 1}, len(tested) - 1)
        return f"{_told(max(better, key=_by_difference), name)}{rest}"
    if worse:
        rest = _rest({**count, "worse": len(worse) - 1}, len(tested) - 1)
        return (
            f"No variant is better than {kind}; {_told(min(worse, key=_by_difference), name)}{rest}"
        )
    tests = "1 test" if len(tested) == 1 else f"{len(tested)} tests"
    n = counted(row["n_pairs"] for row in tested)
    return f"No variant is distinguishable from {name} ({tests}, n = {n})"


def _told(row: Row, comparator: str) -> str:
    p = p_value(row["p_holm"])
    bounds = interval(row["difference_lo"], row["difference_hi"])
    return (
        f"{one_line(row['variant'])} is {row['verdict']} than {comparator} by "
        f"{abs(100 * row['difference']):.1f} points of score {bounds} "
        f"(Holm-adjusted p {p if p.startswith('<') else f'= {p}'}, n = {row['n_pairs']})"
    )


def _rest(count: dict[str, int], others: int) -> str:
    if others == 0:
        return ""
    alike = others - count["better"] - count["worse"]
    told = {**count, "not distinguishable": alike}
    told = {word: number for word, number in told.items() if number}
    if len(told) == 1:
        who = "the other one is" if others == 1 else f"the {others} others are"
        return f"; {who} {next(iter(told))}"
    (first, number), *rest = told.items()
    verb = "is" if number == 1 else "are"
    words = [f"{number} {verb} {first}", *(f"{number} {word}" for word, number in rest)]
    return f"; of the {others} others {joined(words)}"


def _power(comparison: Comparison) -> str:
    if math.isnan(comparison.smallest_detectable):
        return ""
    return (
        "; the smallest true difference that would have been found with probability "
        f"{POWER:g} is {100 * comparison.smallest_detectable:.1f} points"
    )


def _cost(comparison: Comparison) -> str:
    table = comparison.table
    timed = table[(table["variant"] != comparison.baseline) & table["step_ratio"].notna()]
    if timed.empty:
        return "Nothing was timed beside the baseline, so what it costs is not known."
    row, on_its_tasks = best(comparison), costed(comparison)
    told = [_steps(timed, comparison) if row is None else _step(row, comparison)]
    if row is not None and len(on_its_tasks) > 1:
        front = list(on_its_tasks["variant"][on_front(on_its_tasks)])
        told.append(_front(front, len(on_its_tasks)))
    return f"{'; '.join(told)}."


def _steps(timed: pd.DataFrame, comparison: Comparison) -> str:
    """What steps cost where no variant is tested, so that none is the one to tell of."""
    low, high = timed["step_ratio"].min(), timed["step_ratio"].max()
    several = len(timed) > 1
    those = f"those of the {len(timed)} variants" if several else "that of the variant"
    ratios = f"{low:.2f} to {high:.2f}" if several else f"{low:.2f}"
    return (
        f"A step of the baseline takes {_of_baseline(comparison)}, {those} timed beside it "
        f"{ratios} times that"
    )


def _step(row: Row, comparison: Comparison) -> str:
    if row["variant"] == comparison.baseline:
        return (
            "No tested variant has a mean difference above zero; a step of the baseline takes "
            f"{_of_baseline(comparison)}"
        )
    subject = "Its step"
    if row["verdict"] != "better":
        name = one_line(row["variant"])
        subject = f"A step of {name}, which has the largest mean difference of those tested,"
    if math.isnan(row["step_ratio"]):
        return f"{subject} was not timed beside that of the baseline"
    ratio = times(row["step_ratio"], row["step_ratio_lo"], row["step_ratio_hi"])
    return (
        f"{subject} takes {ratio} times that of the baseline "
        f"({three_digits(row['step_ms'])} ms against {_of_baseline(comparison)})"
    )


def _of_baseline(comparison: Comparison) -> str:
    step_ms = _row_of(comparison, comparison.baseline)["step_ms"]
    return f"{three_digits(step_ms)} ms at batch size {comparison.batch_size}"


def _front(front: Sequence[str], timed: int) -> str:
    those = f"the {timed} variants timed on the baseline's tasks"
    if len(front) == timed:
        return f"none of {those} is dominated in score and step time"
    verb = "is" if len(front) == 1 else "are"
    return f"of {those} {listed(front)} {verb} on the Pareto front"
