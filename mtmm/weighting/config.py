"""Conflict-free inverse gradients."""

from __future__ import annotations

import torch
from torch import Tensor

from mtmm.solvers.symmetric import pseudo_solve
from mtmm.weighting.base import State
from mtmm.weighting.gramian import GramianWeighting

_TOLERANCE = 1e-6  # that of gradients in 32 bits


class ConFIG(GramianWeighting):
    """The direction with the same cosine to every gradient, as long as their projections onto it
    together (Liu et al. 2024, arXiv 2408.11104).

    Up⁺1 for the matrix U of unit gradients is Σ β_i u_i with Cβ = 1, C = UUᵀ: the Gramian is all it
    needs. Where no direction has equal cosines, it is the one nearest to that in least squares.
    """

    mean = False

    def solve(
        self, state: State, losses: Tensor, gramian: Tensor, active: Tensor
    ) -> tuple[Tensor, Tensor, State]:
        """See `GramianWeighting.solve`; there is none where the nearest direction is 0."""
        norms = torch.where(active, gramian.diagonal(), 1.0).sqrt()
        scale = active / norms
        cosines = gramian * scale[:, None] * scale
        beta = pseudo_solve(cosines, active.double(), _TOLERANCE)
        squared = beta @ cosines @ beta
        solved = squared > 1e-12
        direction = beta / torch.where(solved, squared, 1.0).sqrt()
        length = (norms * active) @ (cosines @ direction)
        return length * direction * scale, solved, state
