"""Geometric mean of the losses."""

from __future__ import annotations

import torch
from torch import Tensor

from mtmm.weighting.base import State, Weighting


class GLS(Weighting):
    """(Π L_i)^{1/T} (Chennupati et al. 2019, arXiv 1904.08492): w_i = (Π L)^{1/T} / (T L_i).

    By the mean of logarithms, which neither overflows nor underflows. A task whose loss is not
    above 0, as in a batch without a label of it, is left out.
    """

    def step(self, state: State, losses: Tensor) -> tuple[Tensor, State]:
        """See `Weighting.step`."""
        active = losses > 0
        count = active.sum().clamp(min=1)
        logs = torch.where(active, losses, 1.0).log()
        mean = logs.sum() / count
        return torch.where(active, (mean - logs).exp() / count, 0.0), state
