"""Tensor fusion."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mtmm.fusion.base import Fusion, linear


class TensorFusion(Fusion):
    """A linear layer on ⊗_m [x_m; 1], all products of features of different modalities (Zadeh et
    al. 2017, arXiv 1707.07250).

    An absent modality is [0; 1]: the products of the others are left. The layer has o Π (D_m + 1)
    weights, and a sample Π (D_m + 1) features: 2.1 million for three of width 128.
    """

    def __init__(self, dims: Mapping[str, int], out_dim: int) -> None:
        super().__init__(dims, out_dim)
        self.projection = linear(math.prod(dim + 1 for dim in dims.values()), out_dim)

    def forward(
        self, features: Mapping[str, Tensor], present: Mapping[str, Tensor] | None = None
    ) -> Tensor:
        """See `Fusion.forward`."""
        first, *others = (F.pad(x, (0, 1), value=1.0) for x in self.masked(features, present))
        product = first
        for other in others:
            product = torch.einsum("bi,bj->bij", product, other).flatten(1)
        fused: Tensor = self.projection(product)
        return fused

    @classmethod
    def parameter_count(cls, dims: Mapping[str, int], out_dim: int) -> int:
        """O Π (D_m + 1) + o."""
        return out_dim * math.prod(dim + 1 for dim in dims.values()) + out_dim

    @classmethod
    def values_per_sample(cls, dims: Mapping[str, int], out_dim: int, **settings: Any) -> int:
        """Π (D_m + 1)."""
        return math.prod(dim + 1 for dim in dims.values())
