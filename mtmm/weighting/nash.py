"""Multi-task learning as a bargaining game."""

from __future__ import annotations

from torch import Tensor

from mtmm.settings import AboveZero
from mtmm.solvers.proportional import proportional
from mtmm.weighting.base import State
from mtmm.weighting.gramian import GramianWeighting


class NashMTL(GramianWeighting):
    """The Nash bargaining solution, Gα = 1/α (Navon et al. 2022, arXiv 2202.01017).

    The combined gradient's norm is bounded by `max_norm`, as in the paper's code; null leaves it.
    Solved to the end, where published code linearises a few times and keeps the old weights when
    its solver fails. There is a solution if and only if some direction descends for all tasks;
    elsewhere it falls back. Heads are weighted, as in the paper.
    """

    heads = "weighted"

    def __init__(self, *, max_norm: AboveZero | None = 1.0) -> None:
        self.max_norm = max_norm

    def solve(
        self, state: State, losses: Tensor, gramian: Tensor, active: Tensor
    ) -> tuple[Tensor, Tensor, State]:
        """See `GramianWeighting.solve`."""
        weights, solved = proportional(gramian, 1.0, active)
        return bounded(weights, gramian, self.max_norm), solved, state


def bounded(weights: Tensor, gramian: Tensor, max_norm: float | None) -> Tensor:
    """The weights `[T]`, scaled down where Σ w_i g_i would be longer than `max_norm`."""
    if max_norm is None:
        return weights
    norm = (weights @ gramian @ weights).clamp(min=0).sqrt()
    return weights * (max_norm / norm).clamp(max=1.0)
