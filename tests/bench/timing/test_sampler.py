from __future__ import annotations

import gc
import math
from collections.abc import Callable

import pytest
import torch

from bench.timing.sampler import (
    CPU_RULES,
    CUDA_RULES,
    Rules,
    chunk_steps,
    device_step_ms,
    rules_for,
    sample_chunk,
    take_turn,
    warm_up,
)
from bench.timing.sensors import NoSensor
from tests.bench.timing.fake import FakeClock, FakeWorkload

RULES = Rules(
    warmup_min_steps=5,
    warmup_min_ms=0.0,
    warmup_window_steps=2,
    warmup_drift=0.05,
    warmup_budget_ms=1_000.0,
)


def test_warm_up_ends_when_two_windows_agree() -> None:
    # Windows of two steps: 25, 11, 10 (11 is 10 % above 10), 10.
    workload = FakeWorkload(clock := FakeClock(), [30, 20, 12, 10, 10, 10, 10])
    warm = warm_up(workload, clock, RULES)
    assert (warm.steps, warm.reason, warm.step_ms) == (8, "stable", 10.0)
    assert workload.steps == 8


@pytest.mark.parametrize(("second", "steps"), [(10.51, 6), (9.51, 8)])
def test_drift_is_a_share_of_the_last_window(second: float, steps: int) -> None:
    # 0.51 / 10.51 = 4.9 % is stable, 0.49 / 9.51 = 5.2 % is not; as shares of 10 the reverse.
    workload = FakeWorkload(clock := FakeClock(), [50, 50, 10, 10, second])
    assert warm_up(workload, clock, RULES).steps == steps


def test_warm_up_takes_the_minimum_number_of_steps() -> None:
    # Stable from the second window (4 steps) on, but 5 are asked for.
    workload = FakeWorkload(clock := FakeClock(), [10])
    assert warm_up(workload, clock, RULES).steps == 6


def test_warm_up_takes_the_minimum_time() -> None:
    workload = FakeWorkload(clock := FakeClock(), [10], between_ms=5)
    warm = warm_up(workload, clock, Rules(warmup_window_steps=2, warmup_min_ms=200.0))
    assert (warm.steps, warm.reason) == (14, "stable")  # 14 · 15 ms = 210 ms


def test_warm_up_that_never_settles_ends_by_its_budget() -> None:
    workload = FakeWorkload(clock := FakeClock(), [2.0**i for i in range(30)])
    warm = warm_up(workload, clock, RULES)
    assert warm.reason == "budget"
    assert warm.steps == 10  # 1 + 2 + ... + 512 = 1,023 ms
    assert warm.step_ms == (256 + 512) / 2


@pytest.mark.parametrize(
    ("step_ms", "steps"), [(10.0, 20), (1.0, 50), (1_000.0, 7), (0.0, 50), (11.0, 18)]
)
def test_a_chunk_fills_its_time_within_its_bounds(step_ms: float, steps: int) -> None:
    rules = Rules(chunk_ms=200.0, chunk_min_steps=7, chunk_max_steps=50)
    assert chunk_steps(step_ms, rules) == steps


def test_sample_chunk_keeps_phases_apart_from_what_lies_between_steps() -> None:
    workload = FakeWorkload(clock := FakeClock(), [99, 4, 8], phases=("a", "b"), between_ms=1)
    chunk = sample_chunk(workload, clock, 3)
    assert chunk.phase_ms.tolist() == [[2, 2], [4, 4], [4, 4]]
    assert chunk.step_ms.tolist() == [4, 8, 8]
    assert chunk.wall_ms == 23
    assert workload.steps == 4  # the first, right after the collection, is not a sample


def test_a_turn_is_first_step_warm_up_and_chunk() -> None:
    clock = FakeClock(asynchronous=True)
    workload = FakeWorkload(clock, [500.0, 10.0], between_ms=5, device_ms=4)
    turn, chunk = take_turn(workload, clock, RULES, NoSensor(), 3)
    assert (turn.round, turn.first_ms, turn.device_ms) == (3, 505, 4)
    assert (turn.warmup_steps, turn.warmup_reason) == (6, "stable")
    assert (turn.steps, turn.wall_ms) == (chunk.steps, 20 * 15)
    assert chunk.step_ms.tolist() == [10.0] * 20


def test_the_device_is_held_until_its_steps_are_queued() -> None:
    clock = FakeClock(asynchronous=True)
    workload = FakeWorkload(clock, [10.0], device_ms=4)
    assert device_step_ms(workload, clock, 10.0) == 4
    assert workload.steps == 5
    assert clock.time_ms == 1.5 * 5 * 10 + 5 * 4


def test_a_cpu_has_no_time_of_its_own() -> None:
    workload = FakeWorkload(clock := FakeClock(), [10.0])
    assert math.isnan(device_step_ms(workload, clock, 10.0))
    assert workload.steps == 0


class _GcProbe:
    phases = ("inference",)
    samples = 1

    def __init__(self, *, fails: bool) -> None:
        self.enabled: list[bool] = []
        self._fails = fails

    def step(self, mark: Callable[[], None]) -> None:
        self.enabled.append(gc.isenabled())
        mark()
        if self._fails:
            raise RuntimeError("broken step")
        mark()


def test_garbage_collection_is_off_within_a_chunk_only() -> None:
    assert gc.isenabled()
    probe = _GcProbe(fails=False)
    sample_chunk(probe, FakeClock(), 2)
    assert probe.enabled == [False, False, False]
    assert gc.isenabled()


def test_garbage_collection_comes_back_after_a_failure() -> None:
    with pytest.raises(RuntimeError, match="broken step"):
        sample_chunk(_GcProbe(fails=True), FakeClock(), 1)
    assert gc.isenabled()


def test_garbage_collection_stays_off_where_it_was_off() -> None:
    gc.disable()
    try:
        sample_chunk(_GcProbe(fails=False), FakeClock(), 1)
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_rules_for_picks_by_device_type() -> None:
    assert rules_for(torch.device("cpu")) is CPU_RULES
    assert rules_for(torch.device("cuda", 1)) is CUDA_RULES
    with pytest.raises(ValueError, match="found meta"):
        rules_for(torch.device("meta"))


@pytest.mark.parametrize("rules", [CPU_RULES, CUDA_RULES])
def test_default_rules_reach_enough_samples_in_the_fewest_rounds(rules: Rules) -> None:
    assert rules.chunk_min_steps * rules.min_rounds >= rules.min_samples


@pytest.mark.parametrize("name", ["warmup_window_steps", "chunk_min_steps"])
def test_rules_without_steps_are_an_error(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be at least 1, found 0"):
        Rules(**{name: 0})


def test_rules_with_crossed_bounds_are_an_error() -> None:
    with pytest.raises(ValueError, match=r"chunk_max_steps .* \(7\), found 3"):
        Rules(chunk_max_steps=3)
