from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from bench.timing.samples import ArmSamples, Turn
from bench.timing.summary import over_rounds, summarise


def _turn(round_index: int, steps: int, wall_ms: float, **more: object) -> Turn:
    known = {"warmup_steps": 5, "warmup_reason": "stable", "first_ms": 7.0} | more
    return Turn(round=round_index, steps=steps, wall_ms=wall_ms, **known)  # type: ignore[arg-type]


def _samples(phase_ms: np.ndarray, *turns: Turn) -> ArmSamples:
    return ArmSamples(
        key="a",
        phases=("forward", "backward"),
        samples=32,
        phase_ms=phase_ms,
        turns=turns,
        stop="budget",
        status="ok",
        reason="",
    )


def test_summary_by_hand() -> None:
    # Quartiles 3.5 and 8.5, so that mild is outside [-4, 16] and severe outside [-11.5, 23.5].
    forward = np.array([1, 2, 3, 4, 5, 6, 7, 8, 9, 20, 40], dtype=float)
    backward = np.full(11, 10.0)
    row = summarise(
        _samples(
            np.stack([forward, backward], axis=1),
            _turn(0, 6, 120.0),
            _turn(1, 5, 130.0, warmup_reason="budget", first_ms=1.0, flags=("busy",)),
        )
    )
    # The rounds' medians are 3.5 and 9, those of the step 13.5 and 19.
    half = 12.7062 * math.log(9 / 3.5) / 2
    half_of_step = 12.7062 * math.log(19 / 13.5) / 2
    typical, typical_step = math.sqrt(3.5 * 9), math.sqrt(13.5 * 19)
    assert row == pytest.approx(
        {
            "forward_ms": typical,
            "forward_lo_ms": typical / math.exp(half),
            "forward_hi_ms": typical * math.exp(half),
            "forward_min_ms": 1,
            "forward_iqr_share": 5 / 6,
            "forward_outliers_mild": 1,
            "forward_outliers_severe": 1,
            "backward_ms": 10,
            "backward_lo_ms": 10,
            "backward_hi_ms": 10,
            "backward_min_ms": 10,
            "backward_iqr_share": 0,
            "backward_outliers_mild": 0,
            "backward_outliers_severe": 0,
            "step_ms": typical_step,
            "step_lo_ms": typical_step / math.exp(half_of_step),
            "step_hi_ms": typical_step * math.exp(half_of_step),
            "step_min_ms": 11,
            "step_iqr_share": 5 / 16,
            "step_outliers_mild": 1,
            "step_outliers_severe": 1,
            "wall_ms": 23,
            "first_ms": 7,
            "graph_breaks": 0,
            "cudagraph_skips": 0,
            "rounds": 2,
            "unstable_share": 0.5,
            "flagged_share": 0.5,
            "n": 11,
            "samples_per_s": 11 * 32 / 0.25,
        },
        rel=1e-4,
    )


def test_one_round_has_no_interval() -> None:
    row = summarise(_samples(np.ones((6, 2)), _turn(0, 6, 12.0)))
    assert row["step_ms"] == 2
    assert math.isnan(row["step_lo_ms"])
    assert math.isnan(row["step_hi_ms"])


def test_an_arm_without_samples_has_only_n() -> None:
    assert summarise(_samples(np.empty((0, 0)))) == {"n": 0}


@pytest.mark.parametrize(("device_ms", "launch_bound"), [(1.7, False), (1.6, True)])
def test_a_device_that_waits_for_its_host_is_launch_bound(
    device_ms: float, launch_bound: bool
) -> None:
    # 2 ms of wall time a step: 1.18 and 1.25 times the device's own.
    turns = [_turn(i, 5, 10.0, device_ms=device_ms) for i in range(3)]
    row = summarise(_samples(np.ones((15, 2)), *turns))
    assert (row["wall_ms"], row["device_ms"]) == (2, device_ms)
    assert row["launch_bound"] is launch_bound


def test_the_interval_covers_where_rounds_scatter() -> None:
    # Rounds scatter by 3 %, samples within a round by 1 %: what pooled samples would not notice.
    rng, hits = np.random.default_rng(0), 0
    for _ in range(400):
        rounds = [np.exp(0.03 * rng.normal() + 0.01 * rng.normal(size=50)) for _ in range(8)]
        _, lo, hi = over_rounds(rounds)
        hits += lo <= 1 <= hi
    low, high = stats.binom.interval(0.999, 400, 0.95)
    assert low <= hits <= high
