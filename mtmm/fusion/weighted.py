"""A sum of projected features with weights that depend on all of them."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mtmm.fusion.projected import ProjectedFusion


class Weighted(ProjectedFusion):
    """Σ a_m (W_m x_m + b_m) with a = softmax(V [x1; …; xM] + c), one number a modality.

    The softmax is over the modalities that are present; the sum is 0 where none is. Weights start
    equal.
    """

    def __init__(self, dims: Mapping[str, int], out_dim: int) -> None:
        super().__init__(dims, out_dim, len(dims))
        self.attention = nn.Linear(sum(dims.values()), len(dims))
        nn.init.zeros_(self.attention.weight)
        nn.init.zeros_(self.attention.bias)

    def forward(
        self, features: Mapping[str, Tensor], present: Mapping[str, Tensor] | None = None
    ) -> Tensor:
        """See `Fusion.forward`."""
        projected = self.projected(features, present)
        there = self.there(present, projected)
        logits = self.attention(torch.cat(self.masked(features, present), dim=1)).mT.unsqueeze(2)
        some = there.any(0)
        # A softmax over nothing but −∞ has no answer; the weights are not used there.
        logits = torch.where(there | ~some, logits, -torch.inf)
        weights = torch.where(some, torch.softmax(logits, 0), 0.0)
        return (weights * projected).sum(0)

    @classmethod
    def parameter_count(cls, dims: Mapping[str, int], out_dim: int) -> int:
        """Σ (D_m o + o) + M ΣD_m + M."""
        attention = len(dims) * sum(dims.values()) + len(dims)
        return super().parameter_count(dims, out_dim) + attention
