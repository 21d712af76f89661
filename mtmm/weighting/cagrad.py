"""Conflict-averse gradient descent."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from torch import Tensor

from mtmm.settings import Range
from mtmm.solvers.averse import averse
from mtmm.weighting.base import State
from mtmm.weighting.gramian import GramianWeighting


class CAGrad(GramianWeighting):
    """The d within c‖g_0‖ of the mean gradient g_0 whose worst g_i · d is best (Liu et al. 2021,
    arXiv 2110.14048).

    d = g_0 + c‖g_0‖ g_w / ‖g_w‖ for the w of the simplex that minimises g_w · g_0 + c‖g_0‖ ‖g_w‖.
    `rescale` divides it by 1 + c² or 1 + c, as two published programs do; the paper does not. Exact
    at every scale of the gradients. Where the minimum has g_w = 0, as it can when some combination
    of the gradients is 0, the direction is not defined: that falls back to d = g_0. So may nearly
    singular Gramians of more than ten tasks.
    """

    def __init__(
        self,
        *,
        c: Annotated[float, Range(low=0, below=1)] = 0.5,
        rescale: Literal["none", "1+c", "1+c^2"] = "none",
    ) -> None:
        self.c = c
        self.rescale = rescale

    def solve(
        self, state: State, losses: Tensor, gramian: Tensor, active: Tensor
    ) -> tuple[Tensor, Tensor, State]:
        """See `GramianWeighting.solve`."""
        mean = active.double() / active.sum().clamp(min=1)
        divisor = {"none": 1.0, "1+c": 1 + self.c, "1+c^2": 1 + self.c**2}[self.rescale]
        if self.c == 0:
            return mean, torch.ones_like(active[0]), state
        pull, solved = averse(gramian, mean, self.c, active)
        return (mean + pull) / divisor, solved, state
