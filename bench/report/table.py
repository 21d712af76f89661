"""A comparison as tables: plain text for the terminal, Markdown for a paper, CSV for a machine."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import pandas as pd

from bench.compare import ALPHA, POWER, Comparison

MISSING = "–"
WIDTH = 120
"""Widest line of a terminal table, unless its numbers alone need more."""

MIN_NAME_WIDTH = 12


@dataclass(frozen=True, slots=True)
class Column:
    """A printed column: its heading (a line break where it may break) and a cell per variant."""

    heading: str
    cells: tuple[str, ...]
    numeric: bool = True


def accuracy_table(comparison: Comparison) -> str:
    """Metrics, score, difference to the baseline and verdict as aligned plain text."""
    return _aligned([_names(comparison), *_accuracy_columns(comparison)])


def cost_table(comparison: Comparison) -> str:
    """Change against single-task learning, size, time and memory as aligned plain text.

    Columns that no variant has are left out.
    """
    return _aligned([_names(comparison), *_cost_columns(comparison)])


def to_markdown(comparison: Comparison) -> str:
    """Both tables as GitHub tables, and below them what a reader must know to judge them."""
    names, cost = _names(comparison), _cost_columns(comparison)
    parts = [_github([names, *_accuracy_columns(comparison), *_resampling_columns(comparison)])]
    if cost:
        parts.append(_github([names, *cost]))
    parts.append("\n".join(f"- {note}" for note in notes(comparison)))
    return "\n\n".join(parts) + "\n"


def to_csv(comparison: Comparison) -> str:
    """The whole comparison as one wide table in full precision; what is missing stays empty."""
    return comparison.table.to_csv(index=False, lineterminator="\n")


def notes(comparison: Comparison) -> list[str]:
    """One sentence or two per fact that the numbers cannot show themselves."""
    table, tests = comparison.table, comparison.family
    lines = [
        f"n: seeds that finished ({_range(table['n'])}); 5/6 means that one of six failed and is "
        "left out.",
        "Intervals are 95 % Student t over seeds (± half-width, or [low, high]). They cover "
        "training noise on one split and one test set, not the choice of either.",
        "Score: where the primary metric lies between the constant prediction (0 %) and the ideal "
        "(100 %), mean over tasks. Only the score gets verdicts.",
        f"Difference: score minus that of {_escaped(comparison.baseline)}, paired by seed. "
        "Verdict: better or worse where the Holm-adjusted p of the paired t-test is below "
        f"{ALPHA:g}, otherwise not distinguishable, which does not mean equal.",
        f"Holm family: {tests} {'test' if tests == 1 else 'tests'}. " + _power_note(comparison),
    ]
    if (table["difference_lo"].isna() & (table["n_pairs"] >= 2)).any():
        lines.append(
            "[–]: the difference was the same for every seed, which leaves no spread for an "
            "interval or a t-test; p is that of the exact sign flip, 2^(1 − pairs)."
        )
    if table["bootstrap_lo"].notna().any():
        lines.append(
            "p sign flip (exact, unadjusted) and the 95 % BCa bootstrap of the difference stand "
            "beside the t-test for comparison; verdicts do not use them."
        )
    if table["delta_m_per_task"].notna().any():
        lines.append(
            "Δm per task (Maninis et al., 2019): gain over single-task learning of the same seed, "
            "mean over the metrics of a task, then over tasks; positive = better."
        )
        lines.append(
            "Δm flat (CAGrad, Nash-MTL, FAMO): drop below single-task learning of the same seed, "
            "mean over all metric columns; positive = WORSE."
        )
    if comparison.batch_size is not None:
        lines.append(
            f"Times: medians at batch size {comparison.batch_size}; forward, backward and step "
            "(all phases together) in training. Step ratio: to the baseline in the same timing "
            "block; compare times by it, not across blocks."
        )
    return lines


def _power_note(comparison: Comparison) -> str:
    if math.isnan(comparison.smallest_detectable):
        return "The smallest difference it could have found cannot be said."
    return (
        f"The smallest true difference it could have found with probability {POWER:g}: "
        f"{100 * comparison.smallest_detectable:.1f} points (median over the family, at level "
        f"{ALPHA:g}/{comparison.family})."
    )


def _range(counts: Iterable[int]) -> str:
    low, high = min(counts), max(counts)
    return f"{low}" if low == high else f"{low} to {high}"


def _names(comparison: Comparison) -> Column:
    names = (" ".join(str(name).split()) for name in comparison.table["variant"])
    return Column("variant", tuple(names), numeric=False)


def _accuracy_columns(comparison: Comparison) -> list[Column]:
    table = comparison.table
    finished = zip(table["n"], table["failed"], strict=True)
    counts = tuple(f"{n}/{n + failed}" if failed else f"{n}" for n, failed in finished)
    columns = [Column("n", counts)]
    for task, metric in comparison.primary.items():
        name, heading = f"{task}.{metric}", f"{task}\n{metric.replace('_', ' ')}"
        if metric in comparison.shares:
            columns.append(_with_half_width(table, name, f"{heading} %", 100, "{:.1f}"))
        else:
            columns.append(_in_its_unit(table, name, heading))
    columns.append(_with_half_width(table, "score", "score\n%", 100, "{:.1f}"))
    columns.append(Column("difference\npoints", _bounded(table, "difference")))
    others = table[table["variant"] != comparison.baseline]
    if (others["n_pairs"] != table["n"].max()).any():
        columns.append(Column("pairs", tuple(f"{n}" if n else MISSING for n in table["n_pairs"])))
    columns.append(_plain(table, "p_holm", "p\nHolm", _p_value))
    verdicts = tuple(verdict or MISSING for verdict in table["verdict"])
    return [*columns, Column("verdict", verdicts, numeric=False)]


def _resampling_columns(comparison: Comparison) -> list[Column]:
    table = comparison.table
    columns = [
        _plain(table, "p_sign_flip", "p sign flip", _p_value),
        Column("difference bootstrap", _bounded(table, "bootstrap", middle="difference")),
    ]
    return columns if table["bootstrap_lo"].notna().any() else []


def _cost_columns(comparison: Comparison) -> list[Column]:
    table = comparison.table
    columns = [
        _with_half_width(table, "delta_m_per_task", "Δm per task\ngain %", 1, "{:+.1f}"),
        _with_half_width(table, "delta_m_flat", "Δm flat\ndrop %", 1, "{:+.1f}"),
        _plain(table, "params", "params", _with_prefix),
        _plain(table, "flops", "FLOPs", _with_prefix),
        _plain(table, "forward_ms", "forward\nms", _three_digits),
        _plain(table, "backward_ms", "backward\nms", _three_digits),
        _plain(table, "step_ms", "step\nms", _three_digits),
        _plain(table, "step_ratio", "step\nratio", "{:.2f}".format),
        _plain(table, "inference_ms", "inference\nms", _three_digits),
        _plain(table, "samples_per_s", "samples/s", _three_digits),
        _plain(table, "peak_mib", "peak\nMiB", _three_digits),
    ]
    return [column for column in columns if set(column.cells) != {MISSING}]


def _plain(table: pd.DataFrame, name: str, heading: str, show: Callable[[float], str]) -> Column:
    return Column(heading, tuple(_shown(value, show) for value in table[name]))


def _with_half_width(
    table: pd.DataFrame, name: str, heading: str, scale: float, pattern: str
) -> Column:
    cells = []
    for mean, hi in zip(table[name] * scale, table[f"{name}_hi"] * scale, strict=True):
        half = "" if math.isnan(hi) else f" ±{hi - mean:.1f}"
        cells.append(MISSING if math.isnan(mean) else f"{_rounded(mean, pattern)}{half}")
    return Column(heading, tuple(cells))


def _in_its_unit(table: pd.DataFrame, name: str, heading: str) -> Column:
    """A metric that is no share, with its half width."""
    cells = []
    for mean, hi in zip(table[name], table[f"{name}_hi"], strict=True):
        half = "" if math.isnan(hi) else f" ±{_three_digits(hi - mean)}"
        cells.append(MISSING if math.isnan(mean) else f"{_three_digits(mean)}{half}")
    return Column(heading, tuple(cells))


def _bounded(table: pd.DataFrame, name: str, middle: str | None = None) -> tuple[str, ...]:
    """A difference in points with its bounds, as in "+1.2 [+0.4, +2.0]"."""
    cells = []
    columns = [table[middle or name], table[f"{name}_lo"], table[f"{name}_hi"]]
    for mean, lo, hi in zip(*columns, strict=True):
        low, high = _points(lo), _points(hi)
        bounds = MISSING if low == MISSING else f"{low}, {high}"
        cells.append(MISSING if math.isnan(mean) else f"{_points(mean)} [{bounds}]")
    return tuple(cells)


def _points(fraction: float) -> str:
    return _shown(fraction, lambda value: _rounded(100 * value, "{:+.1f}"))


def _shown(value: float, show: Callable[[float], str]) -> str:
    return MISSING if math.isnan(value) else show(value)


def _rounded(value: float, pattern: str) -> str:
    return pattern.format(round(value, 1) + 0.0)  # + 0.0: never "-0.0"


def _p_value(p: float) -> str:
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def _three_digits(value: float) -> str:
    """Three significant digits without an exponent: 0.0123, 12.3, 1230."""
    if value == 0:
        return "0"
    rounded = float(f"{value:.2e}")
    return f"{rounded:.{max(0, 2 - math.floor(math.log10(abs(rounded))))}f}"


def _with_prefix(count: float) -> str:
    """A count with one decimal and an SI prefix: 1.2 M."""
    if count < 1000:
        return f"{count:.0f}"
    for prefix in "kMG":
        count /= 1000
        if round(count, 1) < 1000:
            return f"{count:.1f} {prefix}"
    return f"{count / 1000:.1f} T"


def _aligned(columns: Sequence[Column]) -> str:
    names, *others = columns
    headings = [column.heading.split("\n") for column in columns]
    widths = [
        max(map(len, [*heading, *column.cells]))
        for heading, column in zip(headings, columns, strict=True)
    ]
    widths[0] = min(widths[0], max(MIN_NAME_WIDTH, WIDTH - sum(widths[1:]) - 2 * len(others)))
    depth = max(map(len, headings))
    rows = [[heading[i] if i < len(heading) else "" for heading in headings] for i in range(depth)]
    rows.append(["─" * width for width in widths])
    for i, name in enumerate(names.cells):
        first, *rest = _wrapped(name, widths[0])
        rows.append([first, *(column.cells[i] for column in others)])
        rows.extend([line, *("" for _ in others)] for line in rest)
    lines = (
        "  ".join(
            cell.rjust(width) if column.numeric else cell.ljust(width)
            for cell, width, column in zip(row, widths, columns, strict=True)
        ).rstrip()
        for row in rows
    )
    return "\n".join(lines) + "\n"


def _wrapped(name: str, width: int) -> list[str]:
    # Names of variants are lists of settings: a comma is where they read best.
    return [name] if len(name) <= width else textwrap.wrap(name.replace(",", ", "), width)


def _github(columns: Sequence[Column]) -> str:
    rows = [
        [_escaped(column.heading.replace("\n", " ")) for column in columns],
        ["---:" if column.numeric else "---" for column in columns],
        *zip(*([_escaped(cell) for cell in column.cells] for column in columns), strict=True),
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _escaped(text: str) -> str:
    """Text that cannot end a table cell."""
    return " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|")
