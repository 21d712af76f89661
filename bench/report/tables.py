"""The tables of a report beyond those of the terminal: as columns to print, and in full."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from bench.compare import Comparison
from bench.lines import one_line
from bench.report.analysis import Analysis
from bench.report.columns import (
    Column,
    bounded,
    compared_with_single_task,
    cost_columns,
    single_task_columns,
    wide_columns,
)
from bench.report.parts import (
    kinds_table,
    memory_table,
    printed_kinds,
    printed_memory,
    printed_parts,
)
from bench.report.quality import printed_quality
from bench.report.ratios import printed_ratios
from bench.report.robustness import robustness_columns

_SINGLE_TASK = ("gain.", "delta_m_")
_COSTS = (
    *("forward_", "backward_", "optimizer_", "step_", "inference_"),
    *("samples_per_s", "pipeline_", "peak_mib", "time_n", "flagged_", "launch_"),
    *("params", "flops"),
)
"""How the columns of a comparison's table begin that are about single-task runs, and cost."""


def printed_tables(analysis: Analysis) -> dict[str, list[Column]]:
    """The tables that have something to show, by name, as columns to print."""
    comparison = analysis.comparison
    tables = {
        "accuracy": wide_columns(comparison),
        "single_task": single_task_columns(comparison),
        "cost": cost_columns(comparison),
        "robustness": robustness_columns(analysis.robustness),
        "parts": printed_parts(analysis.parts),
        "ratios": printed_ratios(analysis.ratios),
        "memory": printed_memory(memory_table(analysis.results.profiles)),
        "kinds": printed_kinds(kinds_table(analysis.results.profiles)),
        "quality": printed_quality(analysis.quality),
        "effects": effect_columns(analysis.effects.table),
        "ablations": ablation_columns(analysis.ablations),
    }
    return {name: columns for name, columns in tables.items() if columns and columns[0].cells}


def full_tables(analysis: Analysis) -> dict[str, pd.DataFrame]:
    """The same and the metrics by task, in full precision; fractions where not told otherwise."""
    accuracy, single_task, cost = _parts(analysis.comparison)
    tables = {
        "accuracy": accuracy,
        "single_task": single_task,
        "cost": cost,
        "robustness": analysis.robustness,
        "parts": analysis.parts,
        "ratios": analysis.ratios,
        "memory": memory_table(analysis.results.profiles),
        "kinds": kinds_table(analysis.results.profiles),
        "quality": analysis.quality,
        "tasks": analysis.by_task,
        "effects": analysis.effects.table,
        "ablations": analysis.ablations,
    }
    return {name: table for name, table in tables.items() if len(table)}


def effect_columns(table: pd.DataFrame) -> list[Column]:
    """Setting, value, the baseline's value, difference in points, n and pairs."""
    return [
        _words("setting", table["setting"]),
        _words("value", table["value"]),
        _words("against", table["reference"]),
        bounded(table, "difference", "difference\npoints"),
        _counts("n", table["n"]),
        _counts("pairs", table["pairs"]),
    ]


def ablation_columns(table: pd.DataFrame) -> list[Column]:
    """Variant, difference to the base in points, and n."""
    return [
        _words("variant", table["variant"]),
        bounded(table, "difference", "difference to the base\npoints"),
        _counts("n", table["n"]),
    ]


def _parts(comparison: Comparison) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    table = comparison.table
    gains, costs = ([n for n in table.columns if n.startswith(of)] for of in (_SINGLE_TASK, _COSTS))
    compared = table[compared_with_single_task(table)]
    return (
        table.drop(columns=[*gains, *costs]),
        compared[["variant", *gains]],
        table[["variant", *costs]],
    )


def _words(heading: str, cells: Iterable[object]) -> Column:
    return Column(heading, tuple(map(one_line, cells)))


def _counts(heading: str, counts: pd.Series[int]) -> Column:
    return Column(heading, tuple(f"{n}" for n in counts), tuple(map(float, counts)))
