"""Phases of a call that come more than once: in parts, or in every one of several steps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bench.timing.clock import Chunk


def passes(phases: Sequence[str]) -> int:
    """How many steps a call with these phases is: its first phase comes once in each."""
    return phases.count(phases[0])


def distinct(phases: Sequence[str]) -> tuple[str, ...]:
    """The phases, each once, in the order in which they first come."""
    return tuple(dict.fromkeys(phases))


def per_step(chunk: Chunk, phases: Sequence[str]) -> Chunk:
    """A chunk of calls as one of steps: a column for each distinct phase, and means over passes."""
    if len(distinct(phases)) == len(phases):
        return chunk
    return Chunk(
        phase_ms=_joined(chunk.phase_ms, phases) / passes(phases),
        wall_ms=chunk.wall_ms / passes(phases),
    )


def _joined(values: NDArray[np.float64], phases: Sequence[str]) -> NDArray[np.float64]:
    columns = [[i for i, name in enumerate(phases) if name == one] for one in distinct(phases)]
    joined: NDArray[np.float64] = np.stack([values[:, c].sum(axis=1) for c in columns], axis=1)
    return joined
