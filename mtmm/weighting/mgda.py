"""The minimum-norm point of the task gradients."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from mtmm.solvers.simplex import shortest
from mtmm.weighting.base import State
from mtmm.weighting.gramian import GramianWeighting


class MGDA(GramianWeighting):
    """argmin over the simplex of ‖Σ α_i g_i / n_i‖² (Désidéri 2012; Sener & Koltun 2018, arXiv
    1810.04650).

    `normalizer` is n_i: 1 (`none`), ‖g_i‖ (`l2`), L_i (`loss`) or L_i ‖g_i‖ (`loss+`). The step is
    along the minimum-norm point itself, Σ (α_i / n_i) g_i, with weights that sum to 1: published
    code also applies α_i to raw gradients, which descends for all tasks only with `none`. Without
    a normalizer the task with the smallest gradient gets most of the weight. Heads are weighted, as
    in the paper. In space `z` it is MGDA-UB, over all samples' gradients, not over their sum.
    """

    heads = "weighted"

    def __init__(self, *, normalizer: Literal["none", "l2", "loss", "loss+"] = "none") -> None:
        self.normalizer = normalizer

    def solve(
        self, state: State, losses: Tensor, gramian: Tensor, active: Tensor
    ) -> tuple[Tensor, Tensor, State]:
        """See `GramianWeighting.solve`; there is none where a normalizer is not above 0."""
        norms = gramian.diagonal().sqrt()
        factors = {
            "none": torch.ones_like(norms),
            "l2": norms,
            "loss": losses,
            "loss+": losses * norms,
        }[self.normalizer]
        sound = (factors > 0) | ~active
        scale = torch.where(sound & active, factors, 1.0).reciprocal()
        weights = shortest(gramian * scale[:, None] * scale, active) * scale
        return weights / weights.sum(), sound.all(), state
