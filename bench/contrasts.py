"""The contrasts of a comparison: scores paired by seed, who is tested, Holm over all tests."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.statistics import (
    SIGN_FLIP_MAX_N,
    PairedDifference,
    bootstrap_interval,
    holm,
    paired_difference,
    sign_flip,
    smallest_detectable,
)

ALPHA = 0.05
"""Family-wise error rate of the verdicts."""

POWER = 0.8
"""The probability with which the smallest detectable difference would have been found."""

RESAMPLING_MIN_N = 10
"""Fewest pairs for sign flip and bootstrap: below, the one has no power, the other no coverage."""

Pair = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Scores of two runs (`[pairs]`), paired by position."""

Contrast = tuple[str, str]
"""A variant and the comparator that it is set against."""

_UNKNOWN = PairedDifference(n=0, mean=math.nan, sd=math.nan, lo=math.nan, hi=math.nan, p=math.nan)


@dataclass(frozen=True, slots=True, kw_only=True)
class Best:
    """The second comparator: of the `candidates` that with the highest mean score on val.

    `variant` is None, and `val_score` NaN, where none is wanted or none has finished a seed.
    """

    candidates: tuple[str, ...] = ()
    variant: str | None = None
    val_score: float = math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrasts:
    """Every variant against every comparator, and the adjusted p of those that are tested.

    `tests` holds each test once; the same two variants the other way round share its p.
    """

    pairs: Mapping[Contrast, Pair]
    differences: Mapping[Contrast, PairedDifference]
    tests: tuple[Contrast, ...]
    p_holm: Mapping[Contrast, float]

    def row(self, variant: str, comparator: str, of_comparator: str) -> dict[str, object]:
        """A variant's columns about one comparator, whose own verdict is `of_comparator`."""
        contrast = variant, comparator
        difference = self.differences.get(contrast, _UNKNOWN)
        p_holm = self.p_holm.get(contrast, math.nan)
        verdict = "" if math.isnan(p_holm) else score_verdict(difference.mean, p_holm)
        return {
            "difference": difference.mean,
            "difference_lo": difference.lo,
            "difference_hi": difference.hi,
            "n_pairs": difference.n,
            "p": difference.p,
            "p_holm": p_holm,
            "verdict": of_comparator if variant == comparator else verdict,
            **_resampling(self.pairs.get(contrast)),
        }

    def smallest_detectable(self) -> float:
        """Median over the tests; one without spread (identical arms) has no say."""
        level = ALPHA / max(1, len(self.tests))
        found = [self.differences[test] for test in self.tests]
        detectable = [smallest_detectable(d.sd, d.n, level, POWER) for d in found if d.sd > 0]
        return float(np.median(detectable)) if detectable else math.nan


def contrasts(
    runs: Mapping[str, pd.DataFrame],
    comparators: Iterable[str],
    family: Collection[str],
    tasks: Collection[str],
) -> Contrasts:
    """Set the finished cells of each variant, by seed, against those of each comparator.

    Tested are the variants of the family that share two seeds or more with a comparator.
    """
    both = [(name, other) for other in comparators for name in runs if name != other]
    pairs = {(name, other): score_pairs(runs[name], runs[other], tasks) for name, other in both}
    differences = {contrast: paired_difference(*pair) for contrast, pair in pairs.items()}
    tests: list[Contrast] = []
    for name, other in both:
        if name in family and differences[name, other].n >= 2 and (other, name) not in tests:
            tests.append((name, other))
    adjusted = map(float, holm([differences[test].p for test in tests]))
    p_holm = dict(zip(tests, adjusted, strict=True))
    turned = {(other, name): p for (name, other), p in p_holm.items() if other in family}
    p_holm |= {contrast: p for contrast, p in turned.items() if contrast in pairs}
    return Contrasts(pairs=pairs, differences=differences, tests=tuple(tests), p_holm=p_holm)


def choose_best(runs: Mapping[str, pd.DataFrame], candidates: Iterable[str]) -> Best:
    """The candidate of the highest mean score on val over its finished seeds; of equals the first.

    The candidates must have the same tasks.
    """
    names = tuple(candidates)
    scores = {name: values_of(runs[name], "val.score") for name in names}
    means = {name: float(values.mean()) for name, values in scores.items() if len(values)}
    if not means:
        return Best(candidates=names)
    variant = max(means, key=means.__getitem__)
    return Best(candidates=names, variant=variant, val_score=means[variant])


def score_verdict(difference: float, p_holm: float) -> str:
    """What a difference in score and its adjusted p say."""
    if p_holm >= ALPHA:
        return "not distinguishable"
    return "better" if difference > 0 else "worse"


def score_pairs(run: pd.DataFrame, baseline: pd.DataFrame, tasks: Collection[str]) -> Pair:
    """The scores of the seeds that both have, over the tasks both have, paired by position."""
    own, other = _scored(run, tasks), _scored(baseline, tasks)
    columns = ["test.score"] if own == other else [task for task in own if task in other]
    pair = pd.concat([_mean_of(run, columns), _mean_of(baseline, columns)], axis=1).dropna()
    return pair.iloc[:, 0].to_numpy(), pair.iloc[:, 1].to_numpy()


def _scored(run: pd.DataFrame, tasks: Collection[str]) -> list[str]:
    """The columns of the tasks' scores that a run has."""
    columns = [f"test.{task}.score" for task in tasks]
    return [column for column in columns if not values_of(run, column).empty]


def _mean_of(run: pd.DataFrame, columns: Sequence[str]) -> pd.Series[float]:
    """The mean of the columns by seed; no seed where there are no columns."""
    values = [values_of(run, column) for column in columns]
    return (
        pd.concat(values, axis=1).mean(axis=1, skipna=False)
        if values
        else run.index[:0].to_series()
    )


def values_of(run: pd.DataFrame, column: str) -> pd.Series[float]:
    """A column's known values by seed; none where no record of the suite has the column."""
    if column not in run:
        return pd.Series(dtype=np.float64)
    return run[column].dropna().astype(np.float64)


def _resampling(pair: Pair | None) -> dict[str, float]:
    row = {"p_sign_flip": math.nan, "bootstrap_lo": math.nan, "bootstrap_hi": math.nan}
    if pair is None or len(pair[0]) < RESAMPLING_MIN_N:
        return row
    difference = pair[0] - pair[1]
    if difference.size <= SIGN_FLIP_MAX_N:
        row["p_sign_flip"] = sign_flip(difference)
    interval = bootstrap_interval(difference)
    return row | {"bootstrap_lo": interval.lo, "bootstrap_hi": interval.hi}
