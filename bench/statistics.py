"""Intervals, tests and power for the two kinds of samples a benchmark makes.

Scores are few and paired by seed: Student t, Holm over the family, sign flips and a bootstrap
beside it. Timing samples are many and skewed: medians and their ratios.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, stats

SIGN_FLIP_MAX_N = 40
"""Most differences `sign_flip` takes: it holds two lists of 2^(n/2) sums in memory."""


class Interval(NamedTuple):
    """An estimate and the bounds of its interval; a bound is NaN where the sample allows none."""

    estimate: float
    lo: float
    hi: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedDifference:
    """Mean and standard deviation of n paired differences, t interval [lo, hi], two-sided p."""

    n: int
    mean: float
    sd: float
    lo: float
    hi: float
    p: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BootstrapInterval:
    """A bootstrap interval of a mean and how it came about.

    `method` is "BCa"; "constant" where all values are equal, so that the interval is a point;
    "none" with fewer than two values, where the bounds are NaN.
    """

    mean: float
    lo: float
    hi: float
    method: Literal["BCa", "constant", "none"]


def mean_interval(x: ArrayLike, level: float = 0.95) -> Interval:
    """Mean of `x` (`[n]`) with its Student-t interval: mean ± t(n − 1) · sd / √n.

    The bounds are NaN for n = 1, all three values for n = 0.
    """
    values = _sample("x", x)
    _check_fraction("level", level)
    n = values.size
    if n == 0:
        return Interval(math.nan, math.nan, math.nan)
    mean = float(values.mean())
    if n == 1:
        return Interval(mean, math.nan, math.nan)
    half = stats.t.ppf((1 + level) / 2, n - 1) * values.std(ddof=1) / math.sqrt(n)
    return Interval(mean, mean - float(half), mean + float(half))


def paired_difference(a: ArrayLike, b: ArrayLike, level: float = 0.95) -> PairedDifference:
    """Mean of a − b (both `[n]`, paired by position), its t interval and paired t-test.

    With n = 1 all but the mean are NaN, with n = 0 the mean too. Where all n >= 2 differences
    are equal up to rounding, the t statistic is 0/0 or infinite and says nothing: metrics are
    counts over a finite test set, so a few seeds can tie by chance. p is then that of the exact
    sign flip, which needs no estimate of the spread: 1 for differences that are all zero (with
    the interval [0, 0]), 2^(1 − n) for any other constant (with NaN bounds), never 0.
    """
    first, second = _sample("a", a), _sample("b", b)
    if first.size != second.size:
        raise ValueError(f"a and b must have equal lengths, found {first.size} and {second.size}")
    difference = first - second
    n = difference.size
    mean, lo, hi = mean_interval(difference, level)
    if n < 2:
        return PairedDifference(n=n, mean=mean, sd=math.nan, lo=lo, hi=hi, p=math.nan)
    rounding = 8 * np.finfo(np.float64).eps * max(np.abs(first).max(), np.abs(second).max())
    if np.ptp(difference) <= rounding:
        if np.abs(difference).max() <= rounding:
            return PairedDifference(n=n, mean=0.0, sd=0.0, lo=0.0, hi=0.0, p=1.0)
        p = 2.0 ** (1 - n)
        return PairedDifference(n=n, mean=mean, sd=0.0, lo=math.nan, hi=math.nan, p=p)
    sd = float(difference.std(ddof=1))
    p = float(2 * stats.t.sf(abs(mean) / (sd / math.sqrt(n)), n - 1))
    return PairedDifference(n=n, mean=mean, sd=sd, lo=lo, hi=hi, p=p)


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """Holm's step-down adjusted p values (`[m]`), in the order given (Holm, 1979).

    A NaN stays NaN and does not count towards the size of the family.
    """
    p = np.asarray(p_values, dtype=np.float64).reshape(-1)
    known = np.flatnonzero(~np.isnan(p))
    if np.any((p[known] < 0) | (p[known] > 1)):
        raise ValueError(f"p_values must lie in [0, 1] or be NaN, found {p.tolist()}")
    order = known[np.argsort(p[known], kind="stable")]
    factors = np.arange(order.size, 0, -1)
    adjusted = np.full_like(p, np.nan)
    adjusted[order] = np.minimum(np.maximum.accumulate(factors * p[order]), 1.0)
    return adjusted


def sign_flip(differences: ArrayLike) -> float:
    """Exact two-sided p of a mean of paired differences (`[n]`) under all 2^n sign flips.

    The share of sign patterns whose sum is at least as far from zero as the one observed; it
    assumes only that a difference is as likely as its negative. The smallest value is 2^(1 − n).
    NaN for n = 0.
    """
    d = _sample("differences", differences)
    n = d.size
    if n > SIGN_FLIP_MAX_N:
        raise ValueError(f"differences must number at most {SIGN_FLIP_MAX_N}, found {n}")
    if n == 0:
        return math.nan
    # Equal sums can differ by rounding; a tie must count as "at least as far".
    threshold = abs(float(d.sum())) - 1e-12 * float(np.abs(d).sum())
    if threshold <= 0:
        return 1.0
    # A pattern is a pair of half patterns: counting pairs over sorted sums takes 2^(n/2) steps.
    left, right = _signed_sums(d[: n // 2]), np.sort(_signed_sums(d[n // 2 :]))
    above = right.size * left.size - int(np.searchsorted(right, threshold - left).sum())
    return math.ldexp(above, 1 - n)


def bootstrap_interval(
    differences: ArrayLike, level: float = 0.95, *, seed: int = 0
) -> BootstrapInterval:
    """BCa bootstrap interval of a mean (`[n]`), 9,999 resamples (Efron, 1987).

    Under about ten values it covers clearly less than `level`; the t interval does not.
    """
    d = _sample("differences", differences)
    _check_fraction("level", level)
    mean = float(d.mean()) if d.size else math.nan
    if d.size < 2:
        return BootstrapInterval(mean=mean, lo=math.nan, hi=math.nan, method="none")
    if np.ptp(d) == 0:
        return BootstrapInterval(mean=mean, lo=mean, hi=mean, method="constant")
    interval = stats.bootstrap(
        (d,), np.mean, confidence_level=level, method="BCa", rng=np.random.default_rng(seed)
    ).confidence_interval
    return BootstrapInterval(
        mean=mean, lo=float(interval.low), hi=float(interval.high), method="BCa"
    )


def smallest_detectable(sd: float, n: int, alpha: float, power: float = 0.8) -> float:
    """The true mean difference that a two-sided paired t-test finds with probability `power`.

    `sd` is the standard deviation of the n paired differences, `alpha` the level of the test. The
    power is that of the noncentral t distribution with n − 1 degrees of freedom and noncentrality
    difference · √n / sd. NaN for n < 2.
    """
    _check_fraction("alpha", alpha)
    _check_fraction("power", power)
    if power <= alpha:
        raise ValueError(f"power must exceed alpha, found power={power} and alpha={alpha}")
    if not sd >= 0:
        raise ValueError(f"sd must be at least 0, found {sd}")
    return sd * _detectable_at_sd_1(n, alpha, power) if n >= 2 else math.nan


@cache  # a report asks for hundreds that differ in `sd` alone
def _detectable_at_sd_1(n: int, alpha: float, power: float) -> float:
    critical = stats.t.ppf(1 - alpha / 2, n - 1)

    def shortfall(noncentrality: float) -> float:
        reject_above = stats.nct.sf(critical, n - 1, noncentrality)
        # P(T < -c; nc) written as P(T > c; -nc): SciPy's cdf is NaN this far out.
        reject_below = stats.nct.sf(critical, n - 1, -noncentrality)
        return power - float(reject_above + reject_below)

    upper = 1.0
    while shortfall(upper) > 0:
        upper *= 2
    return float(optimize.brentq(shortfall, 0.0, upper)) / math.sqrt(n)


def ratio_of_medians(a: ArrayLike, b: ArrayLike, level: float = 0.95, *, seed: int = 0) -> Interval:
    """median(a) / median(b) of two independent samples (`[n]`, `[m]`) of positive values.

    The interval is the percentile bootstrap of 2,000 resamples of each; its bounds are NaN where
    a sample has fewer than two values. It covers the scatter within these two samples only.
    """
    first, second = _sample("a", a), _sample("b", b)
    _check_fraction("level", level)
    for name, values in (("a", first), ("b", second)):
        if values.size == 0 or values.min() <= 0:
            raise ValueError(f"{name} must hold at least one value, all positive, found {values}")
    ratio = float(np.median(first) / np.median(second))
    if min(first.size, second.size) < 2:
        return Interval(ratio, math.nan, math.nan)
    rng = np.random.default_rng(seed)
    ratios = _resampled_medians(first, rng) / _resampled_medians(second, rng)
    lo, hi = np.quantile(ratios, [(1 - level) / 2, (1 + level) / 2])
    return Interval(ratio, float(lo), float(hi))


def _sample(name: str, x: ArrayLike) -> NDArray[np.float64]:
    values = np.asarray(x, dtype=np.float64)
    if values.ndim != 1:
        raise ValueError(f"{name} must have one dimension, found shape {values.shape}")
    if not np.isfinite(values).all():
        raise ValueError(f"{name} must be finite, found {values}")
    return values


def _check_fraction(name: str, value: float) -> None:
    if not 0 < value < 1:
        raise ValueError(f"{name} must lie between 0 and 1, found {value}")


def _signed_sums(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The 2^n sums of ± every value."""
    sums = np.zeros(1)
    for value in values:
        sums = np.concatenate([sums + value, sums - value])
    return sums


def _resampled_medians(
    values: NDArray[np.float64], rng: np.random.Generator, resamples: int = 2000
) -> NDArray[np.float64]:
    # One resample at a time: all of them at once would take resamples · n values of memory.
    return np.array([np.median(rng.choice(values, values.size)) for _ in range(resamples)])
