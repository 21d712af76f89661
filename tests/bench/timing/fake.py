"""A clock that moves only when told, and a workload that tells it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from bench.timing.clock import Chunk, steps_marked


class FakeClock:
    """Time is `time_ms`; whoever works adds to it."""

    def __init__(self, *, asynchronous: bool = False) -> None:
        self.asynchronous = asynchronous
        self.held = False
        self.time_ms = 0.0
        self._started_ms = 0.0
        self._marks_ms: list[float] = []

    def now_ms(self) -> float:
        return self.time_ms

    def hold(self, duration_ms: float) -> None:
        assert self.asynchronous
        self.held = True
        self.time_ms += duration_ms

    def start(self) -> None:
        self.held = False
        self._marks_ms = []
        self._started_ms = self.time_ms

    def mark(self) -> None:
        self._marks_ms.append(self.time_ms)

    def stop(self, phases: int) -> Chunk:
        steps = steps_marked(len(self._marks_ms), phases)
        marks_ms = np.array(self._marks_ms).reshape(steps, phases + 1)
        return Chunk(phase_ms=np.diff(marks_ms, axis=1), wall_ms=self.time_ms - self._started_ms)


class FakeWorkload:
    """Step i takes `step_ms[i]` (the last value from there on), split evenly over the phases.

    After the last phase `between_ms` pass that belong to no phase. While the clock holds its
    device, a step takes `device_ms`.
    """

    def __init__(
        self,
        clock: FakeClock,
        step_ms: Sequence[float],
        *,
        phases: tuple[str, ...] = ("inference",),
        samples: int = 1,
        between_ms: float = 0.0,
        device_ms: float = 0.0,
    ) -> None:
        self.phases = phases
        self.samples = samples
        self.steps = 0
        self._clock = clock
        self._step_ms = step_ms
        self._between_ms = between_ms
        self._device_ms = device_ms

    def step(self, mark: Callable[[], None]) -> None:
        step_ms = self._step_ms[min(self.steps, len(self._step_ms) - 1)]
        if self._clock.held:
            step_ms = self._device_ms
        mark()
        for _ in self.phases:
            self._clock.time_ms += step_ms / len(self.phases)
            mark()
        self._clock.time_ms += self._between_ms
        self.steps += 1
