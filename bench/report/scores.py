"""The finished cells of a frame as arrays over seeds, and their paired differences."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.compare import Comparison
from bench.statistics import paired_difference

FloatArray = NDArray[np.float64]


class Scores:
    """Test scores by variant and seed (`[seeds]`, NaN where a cell did not finish)."""

    def __init__(self, frame: pd.DataFrame, comparison: Comparison) -> None:
        columns = [f"test.{task}.score" for task in comparison.primary]
        self._whole = by_seed(frame, "test.score")
        self._tasks = [by_seed(frame, column) for column in columns]
        some = next(iter(self._whole.values()), np.empty(0))
        self._unknown = np.full_like(some, np.nan)

    def difference(self, variant: str, other: str) -> FloatArray:
        """Score minus that of the other, seed by seed, over the tasks that both have."""
        own = [self._of(values, variant) for values in self._tasks]
        its = [self._of(values, other) for values in self._tasks]
        has_own, has_its = ([not np.isnan(x).all() for x in values] for values in (own, its))
        if has_own == has_its:
            return self._of(self._whole, variant) - self._of(self._whole, other)
        both = zip(own, its, has_own, has_its, strict=True)
        common = [a - b for a, b, in_own, in_its in both if in_own and in_its]
        return np.mean(common, axis=0) if common else self._unknown

    def _of(self, values: Mapping[str, FloatArray], variant: str) -> FloatArray:
        return values.get(variant, self._unknown)


def by_seed(frame: pd.DataFrame, column: str) -> dict[str, FloatArray]:
    """A column of the finished train records: variant to values by seed, in ascending order."""
    if column not in frame:
        return {}
    finished = frame[(frame["kind"] == "train") & (frame["status"] == "ok")]
    values = finished.pivot(index="variant", columns="seed", values=column).sort_index(axis=1)
    return dict(zip(values.index, values.to_numpy(np.float64), strict=True))


def by_task(
    frame: pd.DataFrame, comparison: Comparison, higher_is_better: Mapping[str, bool]
) -> pd.DataFrame:
    """The primary metrics against the baseline: a row per variant and task that it has.

    Columns: `variant, task, metric, mean, difference` (to the baseline, paired by seed), `_lo`,
    `_hi`, `n` pairs, and `standing`: the difference over the half-width of its 95 % interval,
    positive = better, beyond ±1 where the interval excludes zero; NaN without an interval.
    """
    rows = []
    for task, metric in comparison.primary.items():
        values = by_seed(frame, f"test.{task}.{metric}")
        base = values.get(comparison.baseline)
        sign = 1 if higher_is_better[metric] else -1
        for variant in comparison.table["variant"]:
            own = values.get(variant)
            if own is None or np.isnan(own).all():
                continue
            row = {"variant": variant, "task": task, "metric": metric, "mean": np.nanmean(own)}
            rows.append(row | _against(own, base, sign))
    return pd.DataFrame(rows)


def _against(own: FloatArray, base: FloatArray | None, sign: int) -> dict[str, float]:
    both = np.zeros(own.shape, bool) if base is None else ~np.isnan(own) & ~np.isnan(base)
    found = paired_difference(own[both], own[both] if base is None else base[both])
    half = (found.hi - found.lo) / 2
    return {
        "difference": found.mean,
        "difference_lo": found.lo,
        "difference_hi": found.hi,
        "n": found.n,
        "standing": sign * found.mean / half if half > 0 else np.nan,
    }
