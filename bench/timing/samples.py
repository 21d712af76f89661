"""What a timing block measured of one arm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

ArmStatus = Literal["ok", "oom", "error", "skipped"]
StopReason = Literal["converged", "budget", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One arm's part of one round: a chunk of `steps` samples, and how it came about.

    `wall_ms` is that of the chunk. `first_ms` is the wall time of the first step after the arm was
    built: with compilation it is mostly that; `graph_breaks` counts the places where compiled code
    falls back to Python, `cudagraph_skips` the graphs that became no CUDA graph though asked for.
    `device_ms` is what the device works on a step when it never waits for the host, NaN where host
    and device are one. `state` is what the sensor read of the machine during the chunk, `flags`
    what of it makes the chunk doubtful.
    """

    round: int
    steps: int
    wall_ms: float
    warmup_steps: int
    warmup_reason: str
    first_ms: float = float("nan")
    device_ms: float = float("nan")
    graph_breaks: int = 0
    cudagraph_skips: int = 0
    state: Mapping[str, float | str] = field(default_factory=dict)
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ArmSamples:
    """What a block measured of one arm.

    `phase_ms` is `[n, phases]`, in the order measured; `turns` cut it into chunks. `samples` is the
    batch size. `stop` says why the arm has no more samples, `status` and `reason` whether and why
    it failed; a failed arm keeps the samples of the rounds before. An arm that never finished a
    turn has neither phases nor samples.
    """

    key: str
    phases: tuple[str, ...]
    samples: int
    phase_ms: NDArray[np.float64]
    turns: tuple[Turn, ...]
    stop: StopReason
    status: ArmStatus
    reason: str

    @property
    def step_ms(self) -> NDArray[np.float64]:
        """Time of each step (`[n]`): the sum of its phases."""
        step_ms: NDArray[np.float64] = self.phase_ms.sum(axis=1)
        return step_ms

    def by_round(self, values: NDArray[np.float64]) -> list[NDArray[np.float64]]:
        """A value per step (`[n]`) cut into the rounds."""
        ends = np.cumsum([turn.steps for turn in self.turns])
        return np.split(values, ends[:-1]) if len(ends) else []

    def to_dict(self) -> dict[str, object]:
        """The same as JSON-able values; `rounds` gives each sample's round, `chunks` the turns."""
        return {
            "key": self.key,
            "phases": list(self.phases),
            "samples": self.samples,
            "phase_ms": self.phase_ms.tolist(),
            "rounds": [turn.round for turn in self.turns for _ in range(turn.steps)],
            "chunks": [asdict(turn) | {"flags": list(turn.flags)} for turn in self.turns],
            "stop": self.stop,
            "status": self.status,
            "reason": self.reason,
        }
