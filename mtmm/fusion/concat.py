"""Concatenation and a linear layer."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from mtmm.fusion.base import Fusion, linear


class Concat(Fusion):
    """W [x1; …; xM] + b. The same function class as `sum`; absent modalities are 0 in it."""

    def __init__(self, dims: Mapping[str, int], out_dim: int) -> None:
        super().__init__(dims, out_dim)
        self.projection = linear(sum(dims.values()), out_dim)

    def forward(
        self, features: Mapping[str, Tensor], present: Mapping[str, Tensor] | None = None
    ) -> Tensor:
        """See `Fusion.forward`."""
        fused: Tensor = self.projection(torch.cat(self.masked(features, present), dim=1))
        return fused

    @classmethod
    def parameter_count(cls, dims: Mapping[str, int], out_dim: int) -> int:
        """Formula: o ΣD_m + o."""
        return out_dim * sum(dims.values()) + out_dim
