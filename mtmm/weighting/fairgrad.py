"""Fair resource allocation."""

from __future__ import annotations

from torch import Tensor

from mtmm.settings import AboveZero
from mtmm.solvers.proportional import proportional
from mtmm.weighting.base import State
from mtmm.weighting.gramian import GramianWeighting
from mtmm.weighting.nash import bounded


class FairGrad(GramianWeighting):
    """α-fair loss decreases: Gw = w^{−1/α} (Ban & Ji 2024, arXiv 2402.15638).

    `alpha` 1 is proportional fairness, that of Nash-MTL; the larger, the more the slowest task
    counts. The combined gradient's norm is bounded by `max_norm`, as in the paper's code; null
    leaves it. There is a solution if and only if some direction descends for all tasks; elsewhere
    it falls back.
    """

    heads = "weighted"

    def __init__(self, *, alpha: AboveZero = 1.0, max_norm: AboveZero | None = 1.0) -> None:
        self.alpha = alpha
        self.max_norm = max_norm

    def solve(
        self, state: State, losses: Tensor, gramian: Tensor, active: Tensor
    ) -> tuple[Tensor, Tensor, State]:
        """See `GramianWeighting.solve`."""
        weights, solved = proportional(gramian, 1 / self.alpha, active)
        return bounded(weights, gramian, self.max_norm), solved, state
