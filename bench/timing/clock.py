"""Clocks: time marks within a chunk of steps, read after one synchronisation per chunk."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Chunk:
    """Some steps run back to back.

    `phase_ms` is `[steps, phases]`, by the clock of the device. `wall_ms` is what the host saw from
    the start of the first step to the end of all work, with whatever lies between the steps.
    """

    phase_ms: NDArray[np.float64]
    wall_ms: float

    @property
    def steps(self) -> int:
        """Number of steps."""
        return len(self.phase_ms)

    @property
    def step_ms(self) -> NDArray[np.float64]:
        """Time of each step (`[steps]`): the sum of its phases."""
        step_ms: NDArray[np.float64] = self.phase_ms.sum(axis=1)
        return step_ms


class Clock(Protocol):
    """What the sampler measures with: `start`, phases + 1 marks in every step, `stop`."""

    @property
    def asynchronous(self) -> bool:
        """Whether the device works on its own while the host goes on."""
        ...

    def now_ms(self) -> float:
        """Wall time since some fixed moment."""
        ...

    def hold(self, duration_ms: float) -> None:
        """Keep an asynchronous device from its work for about so long, within a chunk."""
        ...

    def start(self) -> None:
        """Begin a chunk; marks of an earlier one are forgotten."""
        ...

    def mark(self) -> None:
        """Mark this moment in the device's order of work, without waiting for the device."""
        ...

    def stop(self, phases: int) -> Chunk:
        """Wait for the device and read the chunk.

        Raises ValueError unless there are phases + 1 marks for each of one or more steps.
        """
        ...


def steps_marked(marks: int, phases: int) -> int:
    """Number of steps that `marks` marks stand for, at phases + 1 marks a step."""
    steps, rest = divmod(marks, phases + 1)
    if steps == 0 or rest != 0:
        raise ValueError(
            f"a step of {phases} phases must call mark() {phases + 1} times, "
            f"found {marks} marks in the chunk"
        )
    return steps


class CpuClock:
    """Times work that runs on the calling thread, to the resolution of `time.perf_counter_ns`."""

    asynchronous: bool = False

    def __init__(self) -> None:
        self._started_ns = 0
        self._marks_ns: list[int] = []

    def now_ms(self) -> float:
        """Time of the performance counter."""
        return time.perf_counter_ns() / 1e6

    def hold(self, duration_ms: float) -> None:
        """Nothing: there is nobody to hold."""

    def start(self) -> None:
        """Begin a chunk."""
        self._marks_ns.clear()
        self._started_ns = time.perf_counter_ns()

    def mark(self) -> None:
        """Mark this moment."""
        self._marks_ns.append(time.perf_counter_ns())

    def stop(self, phases: int) -> Chunk:
        """Read the chunk; ValueError unless there are phases + 1 marks a step."""
        wall_ns = time.perf_counter_ns() - self._started_ns
        steps = steps_marked(len(self._marks_ns), phases)
        marks_ns = np.array(self._marks_ns, dtype=np.int64).reshape(steps, phases + 1)
        return Chunk(phase_ms=np.diff(marks_ns, axis=1) / 1e6, wall_ms=wall_ns / 1e6)


_TICKS_PER_MS = 2_000_000


class CudaClock:
    """Times work on the current stream of a CUDA device with events.

    Nothing waits within a chunk, so that the host runs ahead of the device as it does in training.
    """

    asynchronous: bool = True

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._started_ns = 0
        # Events are reused: making one costs more than recording it.
        self._events: list[torch.cuda.Event] = []
        self._used = 0

    def now_ms(self) -> float:
        """Time of the host's performance counter."""
        return time.perf_counter_ns() / 1e6

    def hold(self, duration_ms: float) -> None:
        """Queue a kernel that counts clock ticks; one of 2 GHz is taken for granted."""
        with torch.cuda.device(self._device):
            torch.cuda._sleep(int(duration_ms * _TICKS_PER_MS))  # type: ignore[no-untyped-call]

    def start(self) -> None:
        """Wait for the device once, then begin a chunk."""
        # Work left over from before would be billed to this chunk's wall time.
        torch.cuda.synchronize(self._device)
        self._used = 0
        self._started_ns = time.perf_counter_ns()

    def mark(self) -> None:
        """Record an event on the current stream."""
        if self._used == len(self._events):
            self._events.append(torch.cuda.Event(enable_timing=True))  # type: ignore[no-untyped-call]
        self._events[self._used].record(torch.cuda.current_stream(self._device))
        self._used += 1

    def stop(self, phases: int) -> Chunk:
        """Wait for the device and read the events; ValueError unless phases + 1 a step."""
        torch.cuda.synchronize(self._device)
        wall_ns = time.perf_counter_ns() - self._started_ns
        steps_marked(self._used, phases)
        phase_ms = [
            [
                before.elapsed_time(after)
                for before, after in pairwise(self._events[first : first + phases + 1])
            ]
            for first in range(0, self._used, phases + 1)
        ]
        return Chunk(phase_ms=np.array(phase_ms, dtype=np.float64), wall_ms=wall_ns / 1e6)


def seconds_on(device: torch.device) -> Callable[[], float]:
    """A timer for measuring tools: seconds of the host, once the device has done its work."""
    clock = clock_for(device)

    def seconds() -> float:
        if clock.asynchronous:
            torch.cuda.synchronize(device)
        return clock.now_ms() / 1e3

    return seconds


def clock_for(device: torch.device) -> Clock:
    """The clock of a device of type `cpu` or `cuda` (ValueError for any other)."""
    if device.type == "cpu":
        return CpuClock()
    if device.type == "cuda":
        return CudaClock(device)
    raise ValueError(f"device must be of type cpu or cuda, found {device}")
