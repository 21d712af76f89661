"""Unconflicting projection of gradients."""

from __future__ import annotations

import torch
from torch import Tensor

from mtmm.solvers.nonnegative import nonnegative_minimum
from mtmm.weighting.base import State
from mtmm.weighting.gramian import GramianWeighting


class UPGrad(GramianWeighting):
    """The mean of the task gradients, each projected onto {d: d · g_i ≥ 0 for all i} (Quinton & Rey
    2024, arXiv 2406.16232).

    Exact: no regularisation is added to the Gramian, as published code does for its solver.
    """

    def solve(
        self, state: State, losses: Tensor, gramian: Tensor, active: Tensor
    ) -> tuple[Tensor, Tensor, State]:
        """See `GramianWeighting.solve`: v ≥ e_i / n that minimises vᵀGv, summed over i."""
        each = torch.diag(active.double() / active.sum().clamp(min=1))
        projected = each + nonnegative_minimum(gramian, gramian @ each, active)
        return projected.sum(1), torch.ones_like(active[0]), state
