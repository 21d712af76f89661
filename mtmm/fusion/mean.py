"""The mean of projected features."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from mtmm.fusion.projected import ProjectedFusion


class Mean(ProjectedFusion):
    """The mean of W_m x_m + b_m over the modalities that are present; 0 where none is."""

    def __init__(self, dims: Mapping[str, int], out_dim: int) -> None:
        super().__init__(dims, out_dim, len(dims))

    def forward(
        self, features: Mapping[str, Tensor], present: Mapping[str, Tensor] | None = None
    ) -> Tensor:
        """See `Fusion.forward`."""
        projected = self.projected(features, present)
        there = self.there(present, projected)
        return torch.where(there, projected, 0.0).sum(0) / there.sum(0).clamp(min=1)
