"""A bilinear form."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from mtmm.fusion.pair import PairFusion


class Bilinear(PairFusion):
    """x1ᵀ W_k x2 + b_k for each k; two modalities.

    Where one is absent only b is left. At width d it has d³ parameters.
    """

    def __init__(self, dims: Mapping[str, int], out_dim: int) -> None:
        super().__init__(dims, out_dim)
        self.weight, self.bias = form(self.dims, out_dim, variance=1.0)

    def forward(
        self, features: Mapping[str, Tensor], present: Mapping[str, Tensor] | None = None
    ) -> Tensor:
        """See `Fusion.forward`."""
        first, second = self.masked(features, present)
        return interaction(first, second, self.weight) + self.bias

    @classmethod
    def parameter_count(cls, dims: Mapping[str, int], out_dim: int) -> int:
        """O D_1 D_2 + o."""
        return out_dim * math.prod(dims.values()) + out_dim

    @classmethod
    def values_per_sample(cls, dims: Mapping[str, int], out_dim: int, **settings: Any) -> int:
        """D_1 D_2."""
        return math.prod(dims.values())


def form(
    dims: Mapping[str, int], out_dim: int, *, variance: float
) -> tuple[nn.Parameter, nn.Parameter]:
    """Weight `[o, D_1, D_2]` and bias `[o]` of a bilinear form whose output has that variance."""
    bound = math.sqrt(3 * variance / math.prod(dims.values()))
    weight = nn.Parameter(torch.empty(out_dim, *dims.values()))
    nn.init.uniform_(weight, -bound, bound)
    return weight, nn.Parameter(torch.zeros(out_dim))


def interaction(first: Tensor, second: Tensor, weight: Tensor) -> Tensor:
    """x1ᵀ W_k x2 `[B, o]`, by one product of matrices: `torch.nn.Bilinear` is slow backward."""
    outer = first.unsqueeze(2) * second.unsqueeze(1)
    return outer.flatten(1) @ weight.flatten(1).mT
