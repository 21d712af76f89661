from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bench.statistics import (
    bootstrap_interval,
    holm,
    mean_interval,
    paired_difference,
    ratio_of_medians,
    sign_flip,
    smallest_detectable,
)

SCORES = [0.81, 0.84, 0.79, 0.86, 0.83, 0.85]
OTHERS = [0.80, 0.80, 0.80, 0.82, 0.81, 0.79]


def test_mean_interval_by_hand() -> None:
    # sd of 1, 2, 3 is 1; t(2) at 97.5 % is 4.302653.
    mean, lo, hi = mean_interval([1.0, 2.0, 3.0])
    half = 4.302653 / math.sqrt(3)
    assert (mean, lo, hi) == pytest.approx((2.0, 2.0 - half, 2.0 + half), abs=1e-6)


def test_mean_interval_agrees_with_scipy() -> None:
    expected = stats.t.interval(0.9, 5, loc=np.mean(SCORES), scale=stats.sem(SCORES))
    assert mean_interval(SCORES, level=0.9)[1:] == pytest.approx(expected)


def test_mean_interval_of_one_value_and_of_none() -> None:
    assert mean_interval([0.5]) == pytest.approx((0.5, math.nan, math.nan), nan_ok=True)
    assert all(math.isnan(value) for value in mean_interval([]))


def test_mean_interval_rejects_what_it_cannot_use() -> None:
    with pytest.raises(ValueError, match="x must be finite"):
        mean_interval([1.0, math.nan])
    with pytest.raises(ValueError, match="x must have one dimension"):
        mean_interval([[1.0, 2.0]])
    with pytest.raises(ValueError, match="level must lie between 0 and 1, found 95"):
        mean_interval([1.0, 2.0], level=95)


def test_paired_difference_agrees_with_scipy() -> None:
    reference = stats.ttest_rel(SCORES, OTHERS)
    interval = reference.confidence_interval(0.95)
    found = paired_difference(SCORES, OTHERS)
    assert found.n == 6
    assert found.mean == pytest.approx(0.16 / 6)
    assert found.sd == pytest.approx(np.subtract(SCORES, OTHERS).std(ddof=1))
    assert (found.lo, found.hi) == pytest.approx((interval.low, interval.high))
    assert found.p == pytest.approx(reference.pvalue)


def test_paired_difference_of_identical_arms() -> None:
    found = paired_difference(SCORES, SCORES)
    assert (found.mean, found.lo, found.hi, found.p) == (0.0, 0.0, 0.0, 1.0)


def test_a_constant_difference_gets_the_sign_flip_p() -> None:
    # Rounding makes these differences unequal in the last digit; t would be 1e15.
    found = paired_difference([0.7, 0.8, 0.9], [0.6, 0.7, 0.8])
    assert found.mean == pytest.approx(0.1)
    assert found.p == 0.25
    assert math.isnan(found.lo)
    assert math.isnan(found.hi)


def test_paired_difference_of_few() -> None:
    one = paired_difference([0.7], [0.6])
    assert one.mean == pytest.approx(0.1)
    assert math.isnan(one.p)
    none = paired_difference([], [])
    assert none.n == 0
    assert math.isnan(none.mean)
    with pytest.raises(ValueError, match="equal lengths, found 2 and 1"):
        paired_difference([1.0, 2.0], [1.0])


def test_holm_worked_example() -> None:
    # Sorted 0.005, 0.01, 0.03, 0.04 times 4, 3, 2, 1; the last is raised to the one before.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_holm_passes_nan_through_uncounted() -> None:
    found = holm([math.nan, 0.01, 0.04])
    assert math.isnan(found[0])
    assert found[1:] == pytest.approx([0.02, 0.04])
    assert holm([]).size == 0
    with pytest.raises(ValueError, match=r"p_values must lie in \[0, 1\]"):
        holm([0.5, 1.5])


@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_lies_between_p_and_bonferroni_in_the_same_order(p: list[float]) -> None:
    found = holm(p)
    assert np.all(found >= p)
    assert np.all(found <= np.minimum(1, np.multiply(p, len(p))) + 1e-15)
    assert np.all(np.diff(found[np.argsort(p, kind="stable")]) >= 0)


def test_sign_flip_smallest_p() -> None:
    assert sign_flip([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]) == 2 / 64
    assert sign_flip([-0.1, -0.1, -0.1]) == 2 / 8


def test_sign_flip_by_hand() -> None:
    # ±1 ±2 ±3 sums to ±6, ±4, ±2 and twice 0; four of the eight reach |-1 + 2 + 3| = 4.
    assert sign_flip([-1.0, 2.0, 3.0]) == 4 / 8
    assert sign_flip([0.0, 0.0]) == 1.0
    assert sign_flip([1.0, -1.0]) == 1.0
    assert math.isnan(sign_flip([]))


def test_sign_flip_agrees_with_scipy_on_ties() -> None:
    d = np.array([0.1, 0.2, 0.3, -0.1, 0.2, 0.05, 0.1, -0.3, 0.4])
    reference = stats.permutation_test(
        (d, np.zeros_like(d)),
        lambda a, b: float(np.sum(np.round(a - b, 6))),
        permutation_type="samples",
        n_resamples=10_000,
    )
    assert sign_flip(d) == pytest.approx(reference.pvalue)


def test_sign_flip_has_a_largest_n() -> None:
    assert sign_flip(np.ones(40)) == 2.0**-39
    with pytest.raises(ValueError, match="at most 40, found 41"):
        sign_flip(np.ones(41))


def test_bootstrap_interval_is_seeded_and_near_t() -> None:
    d = np.random.default_rng(0).normal(0.5, 1.0, 50)
    found = bootstrap_interval(d)
    assert found == bootstrap_interval(d)
    assert found != bootstrap_interval(d, seed=1)
    assert found.method == "BCa"
    mean, lo, hi = mean_interval(d)
    assert (found.mean, found.lo, found.hi) == pytest.approx((mean, lo, hi), abs=0.05)


def test_bootstrap_interval_says_when_it_is_degenerate() -> None:
    constant = bootstrap_interval([0.2] * 10)
    assert (constant.lo, constant.hi) == pytest.approx((0.2, 0.2))
    assert constant.method == "constant"
    one = bootstrap_interval([0.2])
    assert one.method == "none"
    assert math.isnan(one.lo)


@pytest.mark.parametrize(("n", "alpha"), [(3, 0.05), (6, 0.05), (6, 0.005), (20, 0.01)])
def test_smallest_detectable_is_found_with_that_power(n: int, alpha: float) -> None:
    true = smallest_detectable(2.0, n, alpha)
    d = np.random.default_rng(0).normal(true, 2.0, (40_000, n))
    p = stats.ttest_1samp(d, 0.0, axis=1).pvalue
    assert float(np.mean(p < alpha)) == pytest.approx(0.8, abs=0.01)


def test_smallest_detectable_reference_value() -> None:
    # Cohen's d for a paired t-test, n = 34, alpha 0.05, power 0.8, as in power tables: 0.495.
    assert smallest_detectable(1.0, 34, 0.05) == pytest.approx(0.495, abs=0.001)


def test_smallest_detectable_edges() -> None:
    # SciPy's noncentral t is NaN in the tail that two pairs need.
    assert smallest_detectable(1.0, 2, 0.005) == pytest.approx(115.381, rel=1e-4)
    assert smallest_detectable(0.0, 6, 0.05) == 0.0
    assert math.isnan(smallest_detectable(1.0, 1, 0.05))
    with pytest.raises(ValueError, match="power must exceed alpha"):
        smallest_detectable(1.0, 6, 0.05, power=0.05)
    with pytest.raises(ValueError, match="sd must be at least 0, found nan"):
        smallest_detectable(math.nan, 6, 0.05)


def test_ratio_of_medians() -> None:
    rng = np.random.default_rng(0)
    slow, fast = rng.gamma(100, 0.012, 400), rng.gamma(100, 0.01, 400)
    ratio, lo, hi = ratio_of_medians(slow, fast)
    assert ratio == np.median(slow) / np.median(fast)
    assert lo < 1.2 < hi
    assert hi - lo < 0.08
    assert ratio_of_medians(slow, fast) == (ratio, lo, hi)
    # The interval agrees with SciPy's percentile bootstrap.
    reference = stats.bootstrap(
        (slow, fast),
        lambda a, b, axis: np.median(a, axis=axis) / np.median(b, axis=axis),
        method="percentile",
        n_resamples=2000,
        rng=np.random.default_rng(1),
    ).confidence_interval
    assert (lo, hi) == pytest.approx((reference.low, reference.high), abs=0.01)


def test_ratio_of_medians_edges() -> None:
    assert ratio_of_medians([2.0], [4.0, 4.0]) == pytest.approx(
        (0.5, math.nan, math.nan), nan_ok=True
    )
    with pytest.raises(ValueError, match="b must hold at least one value, all positive"):
        ratio_of_medians([1.0, 2.0], [0.0, 1.0])
