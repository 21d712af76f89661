from __future__ import annotations

import numpy as np

from bench.timing.clock import Chunk
from bench.timing.phases import distinct, passes, per_step


def test_a_phase_in_two_parts_is_one_column() -> None:
    phases = ("forward", "backward", "solver", "backward", "optimizer")
    assert passes(phases) == 1
    assert distinct(phases) == ("forward", "backward", "solver", "optimizer")
    chunk = Chunk(phase_ms=np.array([[1.0, 2.0, 4.0, 8.0, 16.0], [1, 1, 1, 1, 1]]), wall_ms=40.0)
    joined = per_step(chunk, phases)
    assert joined.phase_ms.tolist() == [[1, 10, 4, 16], [1, 2, 1, 1]]
    assert joined.wall_ms == 40


def test_several_steps_in_a_call_are_the_mean_of_one() -> None:
    phases = ("forward", "backward") * 3
    assert passes(phases) == 3
    chunk = Chunk(phase_ms=np.array([[1.0, 10.0, 2.0, 20.0, 3.0, 30.0]]), wall_ms=69.0)
    joined = per_step(chunk, phases)
    assert joined.phase_ms.tolist() == [[2, 20]]
    assert (joined.wall_ms, joined.steps) == (23, 1)


def test_phases_that_come_once_stay_as_they_are() -> None:
    chunk = Chunk(phase_ms=np.ones((2, 2)), wall_ms=5.0)
    assert per_step(chunk, ("forward", "backward")) is chunk
