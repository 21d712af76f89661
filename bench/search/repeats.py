"""Arms that were searched several times: what lies between them, and between searches of one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean

from scipy import stats

from bench.compare import Comparison
from bench.lines import one_line
from bench.report.columns import MISSING, Column, interval, p_value, points
from bench.search.budget import number_column, percent, row_of
from bench.search.tuned import Found
from bench.statistics import holm

NOTES = (
    "Over the searches of an arm: its mean score on test, lowest and highest; the difference of "
    "means to the baseline arm, with Welch's 95 % interval and the Holm-adjusted p of his t-test. "
    "These cover the noise of tuning, which the intervals over training seeds do not.",
)


def tuned_scores(found: Sequence[Found], comparison: Comparison) -> dict[str, list[float]]:
    """By arm, the mean score on test of what each of its searches has found."""
    scores = comparison.table.set_index("variant")["score"]
    arms: dict[str, list[float]] = {}
    for one in found:
        row = row_of(one, found, scores.index)
        if row is not None and math.isfinite(scores[row]):
            arms.setdefault(one.arm.name, []).append(float(scores[row]))
    return arms


def arm_columns(scores: Mapping[str, Sequence[float]], baseline: str) -> list[Column]:
    """Arm, searches, mean, lowest and highest, and the difference to the baseline arm."""
    others = [name for name in scores if name != baseline and baseline in scores]
    tests = {name: _difference(scores[name], scores[baseline]) for name in others}
    known = [name for name in others if math.isfinite(tests[name][3])]
    adjusted = dict(zip(known, holm([tests[name][3] for name in known]), strict=True))
    unknown = (math.nan, math.nan, math.nan, math.nan)
    rows = [tests.get(name, unknown) for name in scores]
    differences = [row[0] for row in rows]
    p = [float(adjusted.get(name, math.nan)) for name in scores]
    counts = [len(of) for of in scores.values()]
    return [
        Column("arm", tuple(map(one_line, scores))),
        Column("searches", tuple(map(str, counts)), tuple(map(float, counts))),
        number_column("mean\n%", [fmean(of) for of in scores.values()], percent),
        number_column("lowest\n%", [min(of) for of in scores.values()], percent),
        number_column("highest\n%", [max(of) for of in scores.values()], percent),
        number_column("difference\npoints", differences, points),
        Column("95 % interval", tuple(_known(row[1], interval(row[1], row[2])) for row in rows)),
        number_column("p (Holm)", p, p_value),
    ]


def _difference(a: Sequence[float], b: Sequence[float]) -> tuple[float, float, float, float]:
    """Mean of `a` minus mean of `b`, Welch's interval and p; NaN where nothing varies."""
    if min(len(a), len(b)) < 2 or len(set(a)) + len(set(b)) == 2:
        return fmean(a) - fmean(b), math.nan, math.nan, math.nan
    test = stats.ttest_ind(a, b, equal_var=False)
    low, high = test.confidence_interval(0.95)
    return fmean(a) - fmean(b), float(low), float(high), float(test.pvalue)


def _known(value: float, text: str) -> str:
    return MISSING if math.isnan(value) else text
