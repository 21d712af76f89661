"""The columns of the printed tables: what a cell says, and the number behind it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from bench.compare import Comparison
from bench.lines import one_line

MISSING = "–"


@dataclass(frozen=True, slots=True)
class Column:
    """A printed column: its heading (a line break where it may break) and a cell per variant.

    `values` are the numbers behind the cells, NaN where there is none; empty for a column of words.
    """

    heading: str
    cells: tuple[str, ...]
    values: tuple[float, ...] = ()

    @property
    def numeric(self) -> bool:
        """Whether the column holds numbers."""
        return bool(self.values)


def accuracy_columns(comparison: Comparison) -> list[Column]:
    """Variant, n, primary metrics, score, difference to the baseline, adjusted p and verdict."""
    return [*_score_columns(comparison), *contrast_columns(comparison, "")]


def contrast_columns(comparison: Comparison, prefix: str) -> list[Column]:
    """Difference to the comparator whose columns begin so, adjusted p and verdict."""
    table, comparator = comparison.table, comparison.comparators[prefix]
    columns = [bounded(table, f"{prefix}difference", "difference\npoints")]
    pairs = table[f"{prefix}n_pairs"]
    if (pairs[table["variant"] != comparator] != table["n"].max()).any():
        cells = tuple(f"{n}" if n else MISSING for n in pairs)
        columns.append(Column("pairs", cells, _floats(pairs)))
    columns.append(_plain(table, f"{prefix}p_holm", "p\nHolm", p_value))
    return [*columns, _words(table, f"{prefix}verdict", "verdict")]


def wide_columns(comparison: Comparison) -> list[Column]:
    """Those of accuracy about every comparator; where there are two, the headings name them."""
    columns = _score_columns(comparison)
    for prefix in comparison.comparators:
        columns += _named(contrast_columns(comparison, prefix), comparison, prefix)
    return columns


def resampling_columns(comparison: Comparison) -> list[Column]:
    """Sign flip and bootstrap, where there are pairs enough; the headings as in the wide table."""
    table = comparison.table
    columns: list[Column] = []
    for prefix in comparison.comparators:
        middle, bootstrap = f"{prefix}difference", f"{prefix}bootstrap"
        found = [
            _plain(table, f"{prefix}p_sign_flip", "p sign flip", p_value),
            bounded(table, bootstrap, "difference bootstrap", middle=middle),
        ]
        if table[f"{bootstrap}_lo"].notna().any():
            columns += _named(found, comparison, prefix)
    return columns


def compared_with_single_task(table: pd.DataFrame) -> pd.Series[bool]:
    """Which variants have single-task runs; Δm alone is unknown where one of these is at 0."""
    return table.filter(regex=r"^(gain\.|delta_m_)").notna().any(axis=1)


def single_task_columns(comparison: Comparison) -> list[Column]:
    """Variant, the gain of each task over learning it alone, and Δm in both definitions.

    None where no variant has single-task runs to be set against; a row for each that has.
    """
    has = compared_with_single_task(comparison.table)
    if not has.any():
        return []
    found = replace(comparison, table=comparison.table[has])
    columns = [_names(found)]
    for task, metric in comparison.primary.items():
        share = metric in comparison.shares
        columns.append(_gain(found.table, task, share=share))
    return [
        *columns,
        _with_half_width(found.table, "delta_m_per_task", "Δm per task\ngain %", 1, "{:+.1f}"),
        _with_half_width(found.table, "delta_m_flat", "Δm flat\ndrop %", 1, "{:+.1f}"),
    ]


def cost_columns(comparison: Comparison) -> list[Column]:
    """Variant, size, times and memory.

    Columns that no variant has are left out: all of them, if nothing is known.
    """
    table = comparison.table
    columns = [
        _plain(table, "params", "params", _with_prefix),
        _plain(table, "flops", "FLOPs", _with_prefix),
        _plain(table, "forward_ms", "forward\nms", three_digits),
        _plain(table, "backward_ms", "backward\nms", three_digits),
        _plain(table, "step_ms", "step\nms", three_digits),
        _ratio(table, "step_ratio", "step\nratio"),
        _words(table, "step_verdict", "step\nverdict"),
        _plain(table, "inference_ms", "inference\nms", three_digits),
        _plain(table, "samples_per_s", "samples/s", three_digits),
        _plain(table, "pipeline_samples_per_s", "with data\nsamples/s", three_digits),
        _plain(table, "peak_mib", "peak\nMiB", three_digits),
    ]
    known = [column for column in columns if set(column.cells) != {MISSING}]
    return [_names(comparison), *known] if known else []


def p_value(p: float) -> str:
    """Three decimals."""
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def points(fraction: float) -> str:
    """A difference of fractions in points, with its sign."""
    return _shown(fraction, lambda value: _rounded(100 * value, "{:+.1f}"))


def interval(lo: float, hi: float, show: Callable[[float], str] = points) -> str:
    """The bounds in brackets, as in "[+0.4, +2.0]"; "[–]" where there are none."""
    return f"[{MISSING}]" if math.isnan(lo) else f"[{show(lo)}, {show(hi)}]"


def three_digits(value: float) -> str:
    """Three significant digits without an exponent: 0.0123, 12.3, 1230."""
    if value == 0:
        return "0"
    rounded = float(f"{value:.2e}")
    return f"{rounded:.{max(0, 2 - math.floor(math.log10(abs(rounded))))}f}"


def times(ratio: float, lo: float, hi: float) -> str:
    """A ratio with the bounds it has, as in "2.00 [1.95, 2.05]"."""
    bounds = "" if math.isnan(lo) else f" {interval(lo, hi, '{:.2f}'.format)}"
    return _shown(ratio, lambda value: f"{value:.2f}{bounds}")


def bounded(table: pd.DataFrame, name: str, heading: str, middle: str | None = None) -> Column:
    """A difference in points with its bounds, as in "+1.2 [+0.4, +2.0]"."""
    values = _floats(table[middle or name])
    bounds = zip(values, table[f"{name}_lo"], table[f"{name}_hi"], strict=True)
    cells = tuple(
        MISSING if math.isnan(mean) else f"{points(mean)} {interval(lo, hi)}"
        for mean, lo, hi in bounds
    )
    return Column(heading, cells, values)


def _score_columns(comparison: Comparison) -> list[Column]:
    table = comparison.table
    finished = zip(table["n"], table["failed"], strict=True)
    counts = tuple(f"{n}/{n + failed}" if failed else f"{n}" for n, failed in finished)
    columns = [_names(comparison), Column("n", counts, _floats(table["n"]))]
    for task, metric in comparison.primary.items():
        name, heading = (
            f"{task}.{metric}",
            f"{one_line(task)}\n{one_line(metric).replace('_', ' ')}",
        )
        if metric in comparison.shares:
            columns.append(_with_half_width(table, name, f"{heading} %", 100, "{:.1f}"))
        else:
            columns.append(_in_its_unit(table, name, heading))
    return [*columns, _with_half_width(table, "score", "score\n%", 100, "{:.1f}")]


def _named(columns: Sequence[Column], comparison: Comparison, prefix: str) -> list[Column]:
    """The columns, the first and the last with their comparator's name, where there are two."""
    if len(comparison.comparators) == 1:
        return list(columns)
    against = f"\nagainst {one_line(comparison.comparators[prefix])}"
    first, *others, last = columns
    ends = [replace(column, heading=column.heading + against) for column in (first, last)]
    return [ends[0], *others, ends[1]]


def _names(comparison: Comparison) -> Column:
    return Column("variant", tuple(map(one_line, comparison.table["variant"])))


def _words(table: pd.DataFrame, name: str, heading: str) -> Column:
    return Column(heading, tuple(word or MISSING for word in table[name]))


def _plain(table: pd.DataFrame, name: str, heading: str, show: Callable[[float], str]) -> Column:
    values = _floats(table[name])
    return Column(heading, tuple(_shown(value, show) for value in values), values)


def _ratio(table: pd.DataFrame, name: str, heading: str) -> Column:
    bounds = zip(table[name], table[f"{name}_lo"], table[f"{name}_hi"], strict=True)
    return Column(heading, tuple(times(*of) for of in bounds), _floats(table[name]))


def _gain(table: pd.DataFrame, task: str, *, share: bool) -> Column:
    """A gain with its bounds, and whether these leave out zero, as in "+1.2 [+0.4, +2.0] helps"."""
    show = points if share else "{:+.3g}".format
    name, cells = f"gain.{task}", []
    for mean, lo, hi in zip(table[name], table[f"{name}_lo"], table[f"{name}_hi"], strict=True):
        word = " helps" if lo > 0 else " hurts" if hi < 0 else ""
        told = f"{show(mean)} {interval(lo, hi, show)}{word}"
        cells.append(MISSING if math.isnan(mean) else told)
    heading = f"{one_line(task)}\ngain{' points' * share}"
    return Column(heading, tuple(cells), _floats(table[name]))


def _with_half_width(
    table: pd.DataFrame, name: str, heading: str, scale: float, pattern: str
) -> Column:
    cells = []
    for mean, hi in zip(table[name] * scale, table[f"{name}_hi"] * scale, strict=True):
        half = "" if math.isnan(hi) else f" ±{hi - mean:.1f}"
        cells.append(MISSING if math.isnan(mean) else f"{_rounded(mean, pattern)}{half}")
    return Column(heading, tuple(cells), _floats(table[name]))


def _in_its_unit(table: pd.DataFrame, name: str, heading: str) -> Column:
    """A metric that is no share, with its half width."""
    cells = []
    for mean, hi in zip(table[name], table[f"{name}_hi"], strict=True):
        half = "" if math.isnan(hi) else f" ±{three_digits(hi - mean)}"
        cells.append(MISSING if math.isnan(mean) else f"{three_digits(mean)}{half}")
    return Column(heading, tuple(cells), _floats(table[name]))


def _floats(values: Iterable[float]) -> tuple[float, ...]:
    return tuple(map(float, values))


def _shown(value: float, show: Callable[[float], str]) -> str:
    return MISSING if math.isnan(value) else show(value)


def _rounded(value: float, pattern: str) -> str:
    return pattern.format(round(value, 1) + 0.0)  # + 0.0: never "-0.0"


def _with_prefix(count: float) -> str:
    """A count with one decimal and an SI prefix: 1.2 M."""
    if count < 1000:
        return f"{count:.0f}"
    for prefix in "kMG":
        count /= 1000
        if round(count, 1) < 1000:
            return f"{count:.1f} {prefix}"
    return f"{count / 1000:.1f} T"
