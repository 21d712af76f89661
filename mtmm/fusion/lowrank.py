"""Low-rank multimodal fusion."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any

import torch
from torch import Tensor, nn

from mtmm.fusion.base import Fusion
from mtmm.settings import Range


class LowRank(Fusion):
    """Σ_r w_r Π_m (F_m^r [x_m; 1]) + b: `tensor` with its weights factorised (Liu et al. 2018,
    arXiv 1806.00064).

    `rank` is the number of terms. An absent modality is [0; 1], its factors' last column. Products
    are computed in 32 bits: in 16 those of several modalities overflow.
    """

    def __init__(
        self,
        dims: Mapping[str, int],
        out_dim: int,
        *,
        rank: Annotated[int, Range(low=1, high=65536)] = 16,
    ) -> None:
        super().__init__(dims, out_dim)
        self.rank = rank
        # The layer's bias is the factor's last column.
        self.factors = nn.ModuleList(nn.Linear(dim, rank * out_dim) for dim in self.dims.values())
        for layer, dim in zip(self.factors, self.dims.values(), strict=True):
            bound = math.sqrt(3 / (dim + 1))
            for parameter in layer.parameters():
                nn.init.uniform_(parameter, -bound, bound)
        self.weights = nn.Parameter(torch.full((rank,), 1 / math.sqrt(rank)))
        self.bias = nn.Parameter(torch.zeros(out_dim))

    def forward(
        self, features: Mapping[str, Tensor], present: Mapping[str, Tensor] | None = None
    ) -> Tensor:
        """See `Fusion.forward`."""
        inputs = zip(self.factors, self.masked(features, present), strict=True)
        product = torch.stack([factor(x).float() for factor, x in inputs]).prod(0)
        terms = product.view(-1, self.rank, self.out_dim)
        return (self.weights[:, None] * terms).sum(1) + self.bias

    @classmethod
    def parameter_count(cls, dims: Mapping[str, int], out_dim: int, *, rank: int = 16) -> int:
        """R o Σ (D_m + 1) + r + o."""
        return rank * out_dim * sum(dim + 1 for dim in dims.values()) + rank + out_dim

    @classmethod
    def values_per_sample(
        cls, dims: Mapping[str, int], out_dim: int, *, rank: int = 16, **settings: Any
    ) -> int:
        """The factors of all modalities, M R o."""
        return len(dims) * rank * out_dim
