"""Projection of the mean gradient onto the dual cone."""

from __future__ import annotations

import torch
from torch import Tensor

from mtmm.solvers.nonnegative import nonnegative_minimum
from mtmm.weighting.base import State
from mtmm.weighting.gramian import GramianWeighting


class DualProj(GramianWeighting):
    """The mean gradient projected onto {d: d · g_i ≥ 0 for all i} (Lopez-Paz & Ranzato 2017, arXiv
    1706.08840, for tasks at once).

    Exact: no regularisation is added to the Gramian, as published code does for its solver.
    """

    def solve(
        self, state: State, losses: Tensor, gramian: Tensor, active: Tensor
    ) -> tuple[Tensor, Tensor, State]:
        """See `GramianWeighting.solve`: the v ≥ 1 / n that minimises vᵀGv."""
        mean = (active.double() / active.sum().clamp(min=1))[:, None]
        projected = mean + nonnegative_minimum(gramian, gramian @ mean, active)
        return projected.squeeze(1), torch.ones_like(active[0]), state
