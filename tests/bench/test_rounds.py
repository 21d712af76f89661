from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from bench.rounds import (
    Medians,
    Ratio,
    Typical,
    judge,
    paired_ratio,
    round_medians,
    rounds_to_decide,
    typical_ms,
    unpaired_ratio,
)

SAMPLES = {
    "phases": ["forward", "backward"],
    "phase_ms": [[1, 2], [1, 4], [9, 90], [2, 3], [2, 5]],
    "rounds": [0, 0, 0, 2, 2],
}


def test_a_round_counts_once_by_its_median() -> None:
    assert round_medians(SAMPLES) == {0: 5.0, 2: 6.0}
    assert round_medians(SAMPLES, "forward") == {0: 1.0, 2: 2.0}
    assert round_medians({"phases": [], "phase_ms": [], "rounds": []}) == {}
    with pytest.raises(ValueError, match="phase must be step or one of forward, backward, found x"):
        round_medians(SAMPLES, "x")


def test_the_paired_ratio_is_the_mean_of_the_log_ratios_with_its_t_interval() -> None:
    # Log ratios ln 2 + (-0.1, 0, 0.1): mean ln 2, sd 0.1; t(2) at 97.5 % is 4.302653.
    a = {i: 2 * 10.0**i * math.exp(0.1 * (i - 1)) for i in range(3)}
    b = {i: 10.0**i for i in (*range(3), 7)}
    half = 4.302653 * 0.1 / math.sqrt(3)
    found = paired_ratio(a, b)
    assert found.estimate == pytest.approx(2.0)
    assert found.lo == pytest.approx(2 * math.exp(-half), rel=1e-6)
    assert found.hi == pytest.approx(2 * math.exp(half), rel=1e-6)
    assert paired_ratio(b, b) == Ratio(1.0, 1.0, 1.0)


def test_what_a_paired_ratio_cannot_say() -> None:
    one = paired_ratio({0: 2.0, 1: 5.0}, {0: 1.0, 2: 5.0})
    assert one.estimate == 2.0
    assert math.isnan(one.lo)
    assert math.isnan(paired_ratio({0: 1.0}, {1: 1.0}).estimate)
    assert math.isnan(paired_ratio({0: 0.0, 1: 1.0}, {0: 1.0, 1: 1.0}).estimate)


def summary(medians: Medians) -> Typical:
    return Typical.of(*typical_ms(medians), len(medians))


def as_medians(logs: NDArray[np.float64]) -> Medians:
    return dict(enumerate(np.exp(logs).tolist()))


def test_a_summary_gives_the_scatter_of_the_rounds_back() -> None:
    logs = np.random.default_rng(0).normal(2.0, 0.05, 9)
    found = summary(as_medians(logs))
    assert found.ms == pytest.approx(math.exp(logs.mean()))
    assert found.log_sd == pytest.approx(logs.std(ddof=1))
    assert found.rounds == 9
    assert math.isnan(summary({0: 1.0}).log_sd)
    assert math.isnan(summary({}).ms)
    assert math.isnan(Typical.of(3.0, 2.9, 3.1, math.nan).log_sd)  # nothing says of how many


def test_the_unpaired_ratio_is_welchs() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.normal(2.1, 0.08, 7), rng.normal(2.0, 0.02, 11)
    found = unpaired_ratio(summary(as_medians(a)), summary(as_medians(b)))
    interval = stats.ttest_ind(a, b, equal_var=False).confidence_interval(0.95)
    assert found.estimate == pytest.approx(math.exp(a.mean() - b.mean()))
    assert found.lo == pytest.approx(math.exp(interval.low))
    assert found.hi == pytest.approx(math.exp(interval.high))
    assert math.isnan(unpaired_ratio(summary({0: 1.0}), summary(as_medians(b))).lo)


@pytest.mark.parametrize(
    ("ratio", "word"),
    [
        (Ratio(1.20, 1.10, 1.31), "slower"),
        (Ratio(1.05, 1.04, 1.06), "slower"),
        (Ratio(1.20, 0.99, 1.45), "unclear"),
        (Ratio(1.02, 1.01, 1.025), "same"),
        (Ratio(1.02, 1.01, 1.04), "unclear"),
        (Ratio(1.00, 0.98, 1.02), "same"),
        (Ratio(1.00, 0.96, 1.04), "unclear"),
        (Ratio(0.98, 0.975, 0.985), "same"),
        (Ratio(0.90, 0.85, 0.95), "faster"),
        (Ratio(0.90, 0.80, 1.01), "unclear"),
        (Ratio(1.50), "unclear"),
        (Ratio(1.00), "unclear"),
        (Ratio(math.nan), "unclear"),
    ],
)
def test_a_verdict_needs_a_change_of_interest_and_an_interval_that_bears_it(
    ratio: Ratio, word: str
) -> None:
    assert judge(ratio, 0.03) == word


def test_a_verdict_does_not_depend_on_which_of_two_is_first() -> None:
    other = {"slower": "faster", "faster": "slower", "same": "same", "unclear": "unclear"}
    for estimate in (0.9, 0.96, 0.99, 1.0, 1.02, 1.05, 1.2):
        for half in (0.0, 0.01, 0.04, 0.2):
            ratio = Ratio(estimate, estimate * math.exp(-half), estimate * math.exp(half))
            turned = Ratio(1 / estimate, 1 / ratio.hi, 1 / ratio.lo)
            assert judge(turned, 0.03) == other[judge(ratio, 0.03)]


@pytest.mark.parametrize("estimate", [1.0, 1.05, 1.2, 0.8])
def test_so_many_rounds_decide_and_one_less_does_not(estimate: float) -> None:
    sd = 0.2

    def word(rounds: int) -> str:
        a, b = Typical(estimate, sd, rounds), Typical(1.0, sd, rounds)
        return judge(unpaired_ratio(a, b), 0.10)

    needed = rounds_to_decide(Typical(estimate, sd, 4), Typical(1.0, sd, 4), 0.10)
    assert needed is not None
    assert word(needed) != "unclear"
    assert word(needed - 1) == "unclear"


def test_no_number_of_rounds_decides_at_the_threshold_or_without_scatter() -> None:
    assert rounds_to_decide(Typical(1.0999, 0.2, 4), Typical(1.0, 0.2, 4), 0.10) is None
    assert rounds_to_decide(Typical(1.0, math.nan, 1), Typical(1.0, 0.2, 4), 0.10) is None


def _normal(rng: np.random.Generator) -> NDArray[np.float64]:
    return rng.standard_normal(8)


def _heavy(rng: np.random.Generator) -> NDArray[np.float64]:
    return rng.standard_t(3, 8) / math.sqrt(3)


@pytest.mark.parametrize("draw", [_normal, _heavy])
def test_intervals_cover_the_planted_ratio(
    draw: Callable[[np.random.Generator], NDArray[np.float64]],
) -> None:
    rng, planted, runs = np.random.default_rng(0), 1.1, 400
    paired = unpaired = 0
    for _ in range(runs):
        drift = 0.1 * rng.standard_normal(8)
        a, b = 0.02 * draw(rng) + math.log(planted), 0.02 * draw(rng)
        one = paired_ratio(as_medians(a + drift), as_medians(b + drift))
        two = unpaired_ratio(summary(as_medians(a)), summary(as_medians(b)))
        paired += one.lo <= planted <= one.hi
        unpaired += two.lo <= planted <= two.hi
        assert one.hi / one.lo < 1.15  # what both share does not widen it
    assert min(paired, unpaired) >= 0.925 * runs  # 95 % less 2.3 standard errors
