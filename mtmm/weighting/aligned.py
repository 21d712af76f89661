"""Aligned gradients."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor

from mtmm.settings import Range
from mtmm.solvers.symmetric import eigen
from mtmm.weighting.base import State
from mtmm.weighting.gramian import GramianWeighting


class AlignedMTL(GramianWeighting):
    """The mean of the task gradients after their principal components were made equally long, as
    long as the shortest (Senushkin et al. 2023, arXiv 2305.19000).

    w = √λ_min V Λ^{−½} Vᵀ 1/T with the eigenvalues of the Gramian. Those below `rank_tolerance`
    times the largest count as 0: without a cut-off a Gramian that is nearly singular gives steps
    of nearly 0.
    """

    def __init__(self, *, rank_tolerance: Annotated[float, Range(above=0, below=1)] = 1e-6) -> None:
        self.rank_tolerance = rank_tolerance

    def solve(
        self, state: State, losses: Tensor, gramian: Tensor, active: Tensor
    ) -> tuple[Tensor, Tensor, State]:
        """See `GramianWeighting.solve`."""
        values, vectors = eigen(gramian)
        kept = values > self.rank_tolerance * values.amax()
        shortest = torch.where(kept, values, torch.inf).amin()
        inverse = torch.where(kept, (shortest / torch.where(kept, values, 1.0)).sqrt(), 0.0)
        mean = active.double() / active.sum().clamp(min=1)
        return vectors @ (inverse * (mean @ vectors)), torch.ones_like(active[0]), state
