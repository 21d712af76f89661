"""What variants score with modalities missing or noisy, and what each modality is worth."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from bench.lines import one_line
from bench.report.columns import MISSING, Column
from bench.report.scores import by_seed
from bench.statistics import mean_interval

NOTES = (
    "With less: the score on test, in %, of the model trained on all modalities, with only those "
    "named there, with each one absent with the probability named (one always stays), or with "
    "Gaussian noise on one, its standard deviation in units of that modality's own. A negative "
    "score is worse than the constant prediction.",
    "Shapley: a modality's part in the score, in points: its mean gain over all orders in which "
    "modalities could come; the constant prediction is 0, and the parts sum to the score.",
)

_NOISE = re.compile(r"(.*?)\.([0-9][0-9.e+-]*)")


def robustness(frame: pd.DataFrame, variants: Sequence[str]) -> pd.DataFrame:
    """A row per variant that was evaluated with less: means over seeds as fractions.

    Columns: `variant, score`, subsets, Shapley values, and the other conditions, named as in the
    frame without `robust.` and `.score`; each with `_lo` and `_hi` of its 95 % Student t interval,
    NaN with one seed.
    """
    scores = [n for n in frame.columns if n.startswith("robust.") and n.endswith(".score")]
    subsets = [name for name in scores if name.startswith("robust.only.")]
    shapley = [name for name in frame.columns if name.startswith("shapley.")]
    # What each modality is worth stands beside what is left without the others.
    asked = list(dict.fromkeys([*subsets, *shapley, *scores]))
    if not asked:
        return pd.DataFrame()
    values = {name: by_seed(frame, name) for name in ("test.score", *asked)}
    rows = []
    for variant in variants:
        if not any(_known(values[name].get(variant)) for name in asked):
            continue
        row: dict[str, object] = {"variant": variant}
        for name in ("test.score", *asked):
            own = values[name].get(variant)
            known = np.empty(0) if own is None else own[~np.isnan(own)]
            row |= _interval(_short(name), known)
        rows.append(row)
    return pd.DataFrame(rows)


def robustness_columns(table: pd.DataFrame) -> list[Column]:
    """Variant, score, and under every condition; Shapley values in points."""
    if not len(table):
        return []
    columns = [Column("variant", tuple(map(one_line, table["variant"])))]
    for name in table.columns[1:]:
        if not name.endswith(("_lo", "_hi")):
            columns.append(Column(_heading(name), tuple(_cells(table, name)), _floats(table[name])))
    return columns


def _short(name: str) -> str:
    return name.removeprefix("robust.").removeprefix("test.").removesuffix(".score")


def _heading(name: str) -> str:
    kind, _, rest = name.partition(".")
    if kind == "score":
        return "score\n%"
    if kind == "shapley":
        return f"Shapley {one_line(rest)}\npoints"
    if kind == "noise":
        # A name may have dots, as a number has.
        modality, sd = match.groups() if (match := _NOISE.fullmatch(rest)) else (rest, "")
        return f"noise {one_line(modality)}\n{sd} sd: %"
    return f"{kind} {one_line(rest)}\n%"


def _cells(table: pd.DataFrame, name: str) -> Iterator[str]:
    for mean, hi in zip(100 * table[name], 100 * table[f"{name}_hi"], strict=True):
        half = "" if math.isnan(hi) else f" ±{hi - mean:.1f}"
        yield MISSING if math.isnan(mean) else f"{round(mean, 1) + 0.0:.1f}{half}"


def _floats(values: pd.Series[float]) -> tuple[float, ...]:
    return tuple(map(float, values))


def _known(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]] | None) -> bool:
    return values is not None and not bool(np.isnan(values).all())


def _interval(
    name: str, values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]
) -> dict[str, float]:
    if not len(values):
        return dict.fromkeys((name, f"{name}_lo", f"{name}_hi"), math.nan)
    if len(values) == 1:
        return {name: float(values[0]), f"{name}_lo": math.nan, f"{name}_hi": math.nan}
    found = mean_interval(values)
    return {name: found.estimate, f"{name}_lo": found.lo, f"{name}_hi": found.hi}
