"""Scale-invariant losses."""

from __future__ import annotations

import torch
from torch import Tensor

from mtmm.weighting.base import State, Weighting


class ScaleInvariant(Weighting):
    """Σ log L_i: w_i = 1 / L_i, so that no task's unit matters (as in Navon et al. 2022, arXiv
    2202.01017).

    A task whose loss is not above 0, as in a batch without a label of it, is left out.
    """

    def step(self, state: State, losses: Tensor) -> tuple[Tensor, State]:
        """See `Weighting.step`."""
        active = losses > 0
        return torch.where(active, 1 / torch.where(active, losses, 1.0), 0.0), state
