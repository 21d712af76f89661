"""Impartial learning by gradients."""

from __future__ import annotations

import torch
from torch import Tensor

from mtmm.solvers.symmetric import pseudo_solve
from mtmm.weighting.base import State
from mtmm.weighting.gramian import GramianWeighting

_TOLERANCE = 1e-6  # that of gradients in 32 bits


class IMTLG(GramianWeighting):
    """The combination with Σ α_i = 1 that has equal projections onto all gradients' directions (Liu
    et al. 2021, "Towards Impartial Multi-task Learning").

    α ∝ β_i / ‖g_i‖ with Cβ = 1 for the matrix C of cosines: of unit gradients, so that scales of
    tasks do not matter where C is singular. Weights may be negative and, near Σ β_i / ‖g_i‖ = 0,
    large; where Σ β_i is negative every loss grows. It falls back where no combination has equal
    projections, or only one whose weights sum to 0.
    """

    def solve(
        self, state: State, losses: Tensor, gramian: Tensor, active: Tensor
    ) -> tuple[Tensor, Tensor, State]:
        """See `GramianWeighting.solve`."""
        weights, solved = impartial(gramian, active)
        return weights, solved, state


def impartial(gramian: Tensor, active: Tensor) -> tuple[Tensor, Tensor]:
    """The weights `[T]`, and whether there are any (boolean scalar)."""
    scale = torch.where(active, gramian.diagonal(), 1.0).rsqrt() * active
    cosines, ones = gramian * scale[:, None] * scale, active.double()
    beta = pseudo_solve(cosines, ones, _TOLERANCE)
    solved = (cosines @ beta - ones).abs().amax() < _TOLERANCE
    weights = beta * scale
    total = weights.sum()
    solved = solved & (total.abs() > _TOLERANCE * weights.abs().sum())
    return weights / torch.where(total == 0, 1.0, total), solved
