"""Arms over their searches: the difference of means, against a formula written out."""

from __future__ import annotations

import math
from statistics import fmean, variance

import pytest
from scipy import stats

from bench.search.repeats import arm_columns


def welch(a: list[float], b: list[float]) -> tuple[float, float, float]:
    """Difference, half-width of its 95 % interval, and p."""
    va, vb = variance(a) / len(a), variance(b) / len(b)
    df = (va + vb) ** 2 / (va**2 / (len(a) - 1) + vb**2 / (len(b) - 1))
    difference, error = fmean(a) - fmean(b), math.sqrt(va + vb)
    return (
        difference,
        float(stats.t.ppf(0.975, df)) * error,
        2 * float(stats.t.sf(abs(difference) / error, df)),
    )


def test_differences_intervals_and_adjusted_p() -> None:
    scores = {"base": [0.5, 0.4, 0.45], "good": [0.6, 0.58, 0.61], "same": [0.5, 0.42, 0.45]}
    columns = {column.heading.split("\n")[0]: column for column in arm_columns(scores, "base")}
    difference, half, p = welch(scores["good"], scores["base"])
    assert columns["arm"].cells == ("base", "good", "same")
    assert columns["difference"].values[1] == pytest.approx(difference)
    assert columns["difference"].cells[1] == f"{100 * difference:+.1f}"
    low, high = 100 * (difference - half), 100 * (difference + half)
    assert columns["95 % interval"].cells[1] == f"[{low:+.1f}, {high:+.1f}]"
    assert columns["p (Holm)"].values[1] == pytest.approx(2 * p)
    assert columns["p (Holm)"].values[2] == pytest.approx(
        max(2 * p, welch(scores["same"], scores["base"])[2])
    )
    assert [columns[name].cells[0] for name in ("difference", "95 % interval", "p (Holm)")] == [
        "–"
    ] * 3
    assert columns["lowest"].cells == ("40.0", "58.0", "42.0")


@pytest.mark.parametrize("other", [[0.6], [0.6, 0.6]])
def test_what_does_not_vary_has_a_difference_and_no_test(other: list[float]) -> None:
    columns = arm_columns({"base": [0.5, 0.5], "other": other}, "base")
    assert [column.cells[1] for column in columns[-3:]] == ["+10.0", "–", "–"]


def test_a_baseline_without_a_score_leaves_means_alone() -> None:
    columns = arm_columns({"other": [0.5, 0.7]}, "base")
    assert [column.cells[0] for column in columns] == [
        *("other", "2", "60.0", "50.0", "70.0"),
        *("–", "–", "–"),
    ]
