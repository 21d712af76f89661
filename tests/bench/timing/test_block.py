from __future__ import annotations

import json
import math
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.timing import block
from bench.timing.block import Arm, rotated, run_block, stop_reason
from bench.timing.clock import Chunk
from bench.timing.sampler import Rules
from bench.timing.samples import ArmSamples, Turn
from bench.timing.sensors import NoSensor, Reading, Sensor
from bench.timing.summary import summarise
from tests.bench.timing.fake import FakeClock, FakeWorkload

CPU = torch.device("cpu")
NAN = math.nan  # this very one: tuples compare by identity first
# Two windows of two steps warm up; a chunk is seven steps.
RULES = Rules(
    warmup_min_steps=1,
    warmup_min_ms=0.0,
    warmup_window_steps=2,
    chunk_min_steps=7,
    chunk_max_steps=7,
    min_rounds=3,
)


def raised(error: Exception) -> str:
    """The reason of what a step here raises: what it was, and where."""
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    line = lines.index("        raise self._error") + 1
    return f"{type(error).__name__}: {error} ({__file__}:{line})"


class _Bench:
    """Makes arms on one clock and notes the order in which they are built."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.sensor: Sensor = NoSensor()
        self.built: list[str] = []

    def arm(
        self, key: str, step_ms: list[float], *, samples: int = 1, between_ms: float = 0
    ) -> Arm:
        def build() -> FakeWorkload:
            self.built.append(key)
            return FakeWorkload(
                self.clock,
                step_ms,
                phases=("forward", "backward"),
                samples=samples,
                between_ms=between_ms,
            )

        return Arm(key, build)

    def failing(self, key: str, error: Exception, *, from_build: int = 1) -> Arm:
        """Raises `error` in a step of its `from_build`-th workload."""
        good = self.arm(key, [1])

        def build() -> FakeWorkload:
            workload = good.build()
            assert isinstance(workload, FakeWorkload)
            if self.built.count(key) < from_build:
                return workload
            return _Raising(self.clock, error)

        return Arm(key, build)

    def run(self, *arms: Arm, rules: Rules = RULES) -> list[ArmSamples]:
        return run_block(arms, clock=self.clock, rules=rules, device=CPU, sensor=self.sensor)


class _Raising(FakeWorkload):
    def __init__(self, clock: FakeClock, error: Exception) -> None:
        super().__init__(clock, [1])
        self._error = error

    def step(self, mark: Callable[[], None]) -> None:
        mark()
        raise self._error


def test_each_round_starts_at_the_next_arm() -> None:
    bench = _Bench()
    bench.run(*(bench.arm(key, [10]) for key in "abc"))
    assert "".join(bench.built) == "abc" + "bca" + "cab"
    arms = [bench.arm(key, [1]) for key in "ab"]
    assert [arm.key for arm in rotated(arms, 3)] == ["b", "a"]


def test_a_block_converges_and_keeps_its_books() -> None:
    bench = _Bench()
    slow, fast = bench.run(bench.arm("slow", [10], samples=4, between_ms=2), bench.arm("fast", [2]))
    assert (slow.key, fast.key) == ("slow", "fast")
    assert (slow.status, slow.stop, slow.reason) == ("ok", "converged", "")
    # Three rounds of seven are the fewest that hold 20 samples.
    assert slow.phase_ms.shape == (21, 2)
    assert slow.phase_ms.tolist() == [[5, 5]] * 21
    assert slow.turns == tuple(
        Turn(
            round=r,
            steps=7,
            wall_ms=7 * 12,
            warmup_steps=4,
            warmup_reason="stable",
            first_ms=12,
            device_ms=NAN,
        )
        for r in range(3)
    )
    assert summarise(slow)["samples_per_s"] == pytest.approx(4 / 0.012)
    assert summarise(fast)["samples_per_s"] == pytest.approx(1 / 0.002)


def test_samples_are_json_able_with_the_round_of_each() -> None:
    bench = _Bench()
    (samples,) = bench.run(bench.arm("a", [4]), rules=Rules(chunk_max_steps=7, budget_ms=0))
    record = json.loads(json.dumps(samples.to_dict()))
    assert record["phases"] == ["forward", "backward"]
    assert record["phase_ms"] == [[2, 2]] * 14
    assert record["rounds"] == [0] * 7 + [1] * 7
    assert [chunk["steps"] for chunk in record["chunks"]] == [7, 7]
    assert record["chunks"][1]["wall_ms"] == 28
    assert (record["stop"], record["status"], record["samples"]) == ("budget", "ok", 1)


def test_a_spent_budget_still_leaves_two_full_rounds() -> None:
    bench = _Bench()
    results = bench.run(
        *(bench.arm(key, [10]) for key in "abc"), rules=Rules(chunk_max_steps=7, budget_ms=1.0)
    )
    assert "".join(bench.built) == "abc" + "bca"
    assert [(samples.stop, len(samples.turns)) for samples in results] == [("budget", 2)] * 3


def test_one_noisy_arm_keeps_the_block_going_until_the_budget() -> None:
    # The noisy arm's samples spread over 10 to 30 ms: its median is never known to 2 %.
    noisy = [10.0, 10.0, 10.0, 10.0, 10.0, 10.0, 14.0, 18.0, 20.0, 22.0, 26.0, 30.0]
    bench = _Bench()
    rules = Rules(
        warmup_min_ms=0.0,
        warmup_window_steps=2,
        warmup_min_steps=1,
        chunk_max_steps=7,
        budget_ms=1_400.0,
    )
    # Apart from the first steps a round lasts about 200 ms, so that the seventh passes 1,400 ms.
    calm_samples, noisy_samples = bench.run(
        bench.arm("calm", [1]), bench.arm("noisy", noisy), rules=rules
    )
    assert (noisy_samples.stop, len(noisy_samples.turns)) == ("budget", 7)
    assert (calm_samples.stop, len(calm_samples.turns)) == ("budget", 7)


def _chunks(rounds: int, step_ms: list[float]) -> list[Chunk]:
    return [
        Chunk(phase_ms=np.array(step_ms).reshape(-1, 1), wall_ms=sum(step_ms))
        for _ in range(rounds)
    ]


@pytest.mark.parametrize(
    ("rounds", "steps", "elapsed_ms", "expected"),
    [
        (3, 7, 0, "converged"),
        (2, 20, 0, None),  # enough samples, too few rounds
        (3, 6, 0, None),  # enough rounds, too few samples
        (2, 7, 100, "budget"),
        (1, 7, 100, None),
    ],
)
def test_stop_reason(rounds: int, steps: int, elapsed_ms: float, expected: str | None) -> None:
    standing = [_chunks(rounds, [1.0] * steps)]
    rules = Rules(budget_ms=100, min_rounds=3)
    assert stop_reason(standing, elapsed_ms=elapsed_ms, rules=rules) == expected


@pytest.mark.parametrize(("precision", "expected"), [(0.0249, "converged"), (0.0247, None)])
def test_convergence_is_the_half_width_over_the_rounds(
    precision: float, expected: str | None
) -> None:
    # Medians of 0.99, 1 and 1.01 ms, whatever the samples around them: their log has a standard
    # deviation of 0.01 and Student's t is 4.30, hence 4.30 · 0.01 / √3 = 2.5 %.
    chunks = [_chunks(1, [0.5, median, 2.0] * 7)[0] for median in (0.99, 1.0, 1.01)]
    rules = Rules(precision=precision, min_rounds=3)
    assert stop_reason([chunks], elapsed_ms=0, rules=rules) == expected


def test_first_steps_do_not_count_towards_the_budget() -> None:
    # 10 s of compilation in every round, and the budget is 100 ms.
    bench = _Bench()
    (samples,) = bench.run(
        bench.arm("a", [10_000.0, *[1.0] * 11, 3.0]),
        rules=replace(RULES, budget_ms=100.0, min_rounds=5),
    )
    assert (samples.stop, len(samples.turns)) == ("converged", 5)
    assert samples.turns[0].first_ms == 10_000


def test_what_the_sensor_finds_goes_with_its_chunk() -> None:
    class Hot:
        chunks = 0

        def start(self) -> None:
            self.started_ms = bench.clock.time_ms

        def stop(self) -> Reading:
            self.chunks += 1
            assert bench.clock.time_ms == self.started_ms + 8  # a chunk and the step before it
            return Reading({"sm_clock_mhz": 900.0}, ("throttled",) if self.chunks == 2 else ())

    bench = _Bench()
    bench.sensor = Hot()
    (samples,) = bench.run(bench.arm("a", [1]))
    assert [turn.flags for turn in samples.turns] == [(), ("throttled",), ()]
    assert samples.turns[0].state == {"sm_clock_mhz": 900.0}
    assert summarise(samples)["flagged_share"] == pytest.approx(1 / 3)
    chunks = json.loads(json.dumps(samples.to_dict()))["chunks"]
    assert chunks[1]["flags"] == ["throttled"]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), "oom"),
        (MemoryError("no more"), "oom"),
        (ValueError("bad shape"), "error"),
    ],
)
def test_a_failing_arm_is_left_out_and_the_others_go_on(error: Exception, status: str) -> None:
    bench = _Bench()
    good, bad = bench.run(bench.arm("good", [1]), bench.failing("bad", error))
    assert (bad.status, bad.stop) == (status, "failed")
    assert bad.reason == raised(error)
    assert (bad.phases, bad.turns, bad.phase_ms.shape) == ((), (), (0, 0))
    assert bench.built.count("bad") == 1
    assert (good.status, good.stop, len(good.turns)) == ("ok", "converged", 3)
    assert summarise(bad) == {"n": 0}
    assert json.loads(json.dumps(bad.to_dict()))["phase_ms"] == []


def test_an_arm_that_fails_late_keeps_its_samples() -> None:
    bench = _Bench()
    (bad, _) = bench.run(
        bench.failing("bad", RuntimeError("lost"), from_build=2), bench.arm("good", [1])
    )
    assert (bad.status, bad.reason, bad.stop) == ("error", raised(RuntimeError("lost")), "failed")
    assert [turn.round for turn in bad.turns] == [0]
    assert bad.phase_ms.shape == (7, 2)
    assert bench.built.count("bad") == 2


def test_a_block_whose_arms_all_fail_ends() -> None:
    bench = _Bench()
    results = bench.run(bench.failing("a", KeyError("x")), bench.failing("b", KeyError("y")))
    assert [samples.status for samples in results] == ["error", "error"]
    assert bench.built == ["a", "b"]


def test_a_companion_alone_does_not_keep_a_block_going() -> None:
    bench = _Bench()
    companion = replace(bench.arm("fixed", [1]), companion=True)
    failed, fixed = bench.run(bench.failing("a", KeyError("x")), companion)
    assert (failed.stop, fixed.status, len(fixed.turns)) == ("failed", "ok", 1)
    assert bench.built == ["a", "fixed"]


def test_a_device_that_cannot_be_tidied_up_loses_no_samples(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(device: torch.device) -> None:
        raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(block, "give_back", broken)
    bench = _Bench()
    (samples,) = bench.run(bench.arm("a", [1]))
    assert (samples.status, len(samples.turns)) == ("ok", 3)


def test_a_real_failed_allocation_on_the_cpu_counts_as_out_of_memory() -> None:
    def build() -> FakeWorkload:
        torch.empty(2**50)
        raise AssertionError("a petabyte was allocated")

    (samples,) = run_block(
        [Arm("a", build)], clock=FakeClock(), rules=RULES, device=CPU, sensor=NoSensor()
    )
    assert samples.status == "oom"
    assert "allocate" in samples.reason


@pytest.mark.parametrize("fails", [False, True])
def test_an_arm_is_gone_before_the_next_is_built(fails: bool) -> None:
    bench = _Bench()
    alive: list[weakref.ref[FakeWorkload]] = []

    def build() -> FakeWorkload:
        assert [ref() for ref in alive] == [None] * len(alive)
        error = RuntimeError("broken step")
        workload = _Raising(bench.clock, error) if fails else FakeWorkload(bench.clock, [1])
        workload.me = workload  # type: ignore[attr-defined]  # only the collector frees a cycle
        alive.append(weakref.ref(workload))
        return workload

    results = bench.run(Arm("a", build), Arm("b", build))
    assert len(alive) == (2 if fails else 6)
    assert {samples.reason for samples in results} == {
        raised(RuntimeError("broken step")) if fails else ""
    }


def test_arms_must_exist_and_have_keys_of_their_own() -> None:
    bench = _Bench()
    with pytest.raises(ValueError, match="at least one arm"):
        bench.run()
    with pytest.raises(ValueError, match=r"more than one of \['a'\]"):
        bench.run(bench.arm("a", [1]), bench.arm("a", [2]), bench.arm("b", [1]))
