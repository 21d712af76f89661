"""Multiplicative interaction."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from mtmm.fusion.base import linear
from mtmm.fusion.bilinear import form, interaction
from mtmm.fusion.pair import PairFusion


class MI(PairFusion):
    """x1ᵀ W_k x2 + U x1 + V x2 + b (Jayakumar et al. 2020, "Multiplicative Interactions and Where
    to Find Them"); two modalities.

    The same function class as `tensor`. An absent modality leaves the other's linear part. At width
    d it has d³ parameters: 134.7 million at 512.
    """

    def __init__(self, dims: Mapping[str, int], out_dim: int) -> None:
        super().__init__(dims, out_dim)
        self.weight, self.bias = form(self.dims, out_dim, variance=0.5)
        self.linears = nn.ModuleList(
            linear(dim, out_dim, variance=0.25) for dim in self.dims.values()
        )
        for layer in self.linears:
            layer.register_parameter("bias", None)

    def forward(
        self, features: Mapping[str, Tensor], present: Mapping[str, Tensor] | None = None
    ) -> Tensor:
        """See `Fusion.forward`."""
        first, second = self.masked(features, present)
        one, two = self.linears
        fused: Tensor = interaction(first, second, self.weight) + one(first) + two(second)
        return fused + self.bias

    @classmethod
    def parameter_count(cls, dims: Mapping[str, int], out_dim: int) -> int:
        """O (D_1 D_2 + D_1 + D_2) + o."""
        return out_dim * (math.prod(dims.values()) + sum(dims.values())) + out_dim

    @classmethod
    def values_per_sample(cls, dims: Mapping[str, int], out_dim: int, **settings: Any) -> int:
        """D_1 D_2."""
        return math.prod(dims.values())
