"""Samples of one workload: warm up until stable, then time a chunk of steps."""

from __future__ import annotations

import gc
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import numpy as np
import torch

from bench.numerics import compile_counts, no_recompiles
from bench.timing.clock import Chunk, Clock
from bench.timing.phases import passes, per_step
from bench.timing.samples import Turn
from bench.timing.sensors import Sensor

WarmUpReason = Literal["stable", "budget"]

_QUEUED_STEPS = 5
"""Steps whose work is queued at once; a device takes about a thousand launches ahead."""


class Workload(Protocol):
    """A model with its data resident on a device, and one step of it split into phases."""

    @property
    def phases(self) -> tuple[str, ...]:
        """Names of the phases, in their order within a call; a name may come more than once."""
        ...

    @property
    def samples(self) -> int:
        """Batch size."""
        ...

    def step(self, mark: Callable[[], None]) -> None:
        """Run one step; call `mark` once at its start and once after each phase."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How long to warm up, sample and go on; the defaults are those for a CPU.

    A warm-up is stable after `warmup_min_steps` and `warmup_min_ms` once the medians of the last
    two windows of `warmup_window_steps` differ by less than `warmup_drift` (a share of the last);
    it ends unstable after `warmup_budget_ms`. A chunk lasts about `chunk_ms`, within its bounds on
    the number of steps. A block converges once every arm has `min_samples` in `min_rounds` and the
    half-width of its step's interval over the rounds is below `precision` (a share of the median);
    it ends unconverged after `budget_ms`, but not before two rounds.
    """

    warmup_min_steps: int = 5
    warmup_min_ms: float = 200.0
    warmup_window_steps: int = 5
    warmup_drift: float = 0.05
    warmup_budget_ms: float = 2_000.0
    chunk_ms: float = 200.0
    chunk_min_steps: int = 7
    chunk_max_steps: int = 50
    min_samples: int = 20
    min_rounds: int = 8
    precision: float = 0.02
    budget_ms: float = 60_000.0

    def within(self, budget_ms: float, arms: int) -> Rules:
        """These rules for a block of so many arms; a small budget shortens warm-up and chunks."""
        turn_ms = budget_ms / (arms * self.min_rounds)
        return replace(
            self,
            budget_ms=budget_ms,
            warmup_min_ms=min(self.warmup_min_ms, turn_ms / 4),
            chunk_ms=min(self.chunk_ms, turn_ms / 4),
        )

    def __post_init__(self) -> None:
        for name in ("warmup_window_steps", "chunk_min_steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, found {getattr(self, name)}")
        if self.chunk_max_steps < self.chunk_min_steps:
            raise ValueError(
                f"chunk_max_steps must be at least chunk_min_steps ({self.chunk_min_steps}), "
                f"found {self.chunk_max_steps}"
            )


CPU_RULES = Rules()
CUDA_RULES = Rules(
    warmup_min_steps=10,
    warmup_min_ms=500.0,
    warmup_window_steps=8,
    warmup_budget_ms=5_000.0,
    chunk_min_steps=20,
    chunk_max_steps=100,
)


def rules_for(device: torch.device) -> Rules:
    """The default rules of a device of type `cpu` or `cuda` (ValueError for any other)."""
    if device.type == "cpu":
        return CPU_RULES
    if device.type == "cuda":
        return CUDA_RULES
    raise ValueError(f"device must be of type cpu or cuda, found {device}")


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmUp:
    """Steps run before sampling, why they ended, and the median step of the last window."""

    steps: int
    reason: WarmUpReason
    step_ms: float


def warm_up(workload: Workload, clock: Clock, rules: Rules) -> WarmUp:
    """Run steps in windows until the rules call them stable, or the budget is spent."""
    started_ms = clock.now_ms()
    steps, previous_ms = 0, math.nan
    while True:
        median_ms = float(np.median(_run(workload, clock, rules.warmup_window_steps).step_ms))
        steps += rules.warmup_window_steps
        elapsed_ms = clock.now_ms() - started_ms
        long_enough = steps >= rules.warmup_min_steps and elapsed_ms >= rules.warmup_min_ms
        if long_enough and abs(median_ms - previous_ms) < rules.warmup_drift * median_ms:
            return WarmUp(steps=steps, reason="stable", step_ms=median_ms)
        if elapsed_ms >= rules.warmup_budget_ms:
            return WarmUp(steps=steps, reason="budget", step_ms=median_ms)
        previous_ms = median_ms


def take_turn(
    workload: Workload, clock: Clock, rules: Rules, sensor: Sensor, round_index: int
) -> tuple[Turn, Chunk]:
    """One turn of an arm that was just built: first step, warm-up, chunk.

    Raises an error of PyTorch's where compiled code is compiled again within the chunk: that would
    be a sample of the compiler.
    """
    before = compile_counts()
    first_ms = _run(workload, clock, 1).wall_ms
    warm = warm_up(workload, clock, rules)
    with no_recompiles():
        sensor.start()
        calls = sample_chunk(workload, clock, chunk_steps(warm.step_ms, rules))
        reading = sensor.stop()
        device_ms = device_step_ms(workload, clock, warm.step_ms)
    chunk = per_step(calls, workload.phases)
    after = compile_counts()
    turn = Turn(
        round=round_index,
        steps=chunk.steps,
        wall_ms=chunk.wall_ms,
        warmup_steps=warm.steps,
        warmup_reason=warm.reason,
        first_ms=first_ms,
        device_ms=device_ms,
        graph_breaks=after["graph_breaks"] - before["graph_breaks"],
        cudagraph_skips=after["cudagraph_skips"] - before["cudagraph_skips"],
        state=reading.state,
        flags=reading.flags,
    )
    return turn, chunk


def device_step_ms(workload: Workload, clock: Clock, step_ms: float) -> float:
    """Shortest step of a device that never waits for the host; NaN where the two are one.

    The device is held until the host has queued a few steps. A step that itself waits for the
    device cannot be queued: its time is then that of host and device together.
    """
    if not clock.asynchronous:
        return math.nan
    clock.start()
    clock.hold(1.5 * _QUEUED_STEPS * step_ms)
    for _ in range(_QUEUED_STEPS):
        workload.step(clock.mark)
    # Where the queue is full before the last step, the host is in the time of the later ones.
    shortest = float(clock.stop(len(workload.phases)).step_ms.min())
    return shortest / passes(workload.phases)


def chunk_steps(step_ms: float, rules: Rules) -> int:
    """Steps that fill a chunk when one takes `step_ms`, within the bounds of the rules."""
    fitting = rules.chunk_ms / step_ms if step_ms > 0 else math.inf
    return int(min(max(fitting, rules.chunk_min_steps), rules.chunk_max_steps))


def sample_chunk(workload: Workload, clock: Clock, steps: int) -> Chunk:
    """Time `steps` steps back to back, without garbage collection among them.

    One step more is run first and not timed.
    """
    with _no_garbage_collection():
        # The collection before has emptied the processor's caches.
        workload.step(_no_mark)
        return _run(workload, clock, steps)


def _run(workload: Workload, clock: Clock, steps: int) -> Chunk:
    clock.start()
    for _ in range(steps):
        workload.step(clock.mark)
    return clock.stop(len(workload.phases))


def _no_mark() -> None:
    pass


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    was_enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
