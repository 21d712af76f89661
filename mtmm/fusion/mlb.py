"""Multimodal low-rank bilinear pooling."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import torch
from torch import Tensor, nn

from mtmm.fusion.base import Fusion, linear
from mtmm.settings import Range

_POWER = 0.3943  # E[tanh(z)²] for z ~ N(0, 1)


class MLB(Fusion):
    """P(Π tanh(U_m x_m + b_m)) + c (Kim et al. 2017, arXiv 1610.04325), for any number of
    modalities.

    `rank` is the width of the product, by default `out_dim`. The product is over the modalities
    that are present, 1 where none is.
    """

    def __init__(
        self,
        dims: Mapping[str, int],
        out_dim: int,
        *,
        rank: Annotated[int, Range(low=1, high=65536)] | None = None,
    ) -> None:
        super().__init__(dims, out_dim)
        width = out_dim if rank is None else rank
        self.projections = nn.ModuleList(linear(dim, width) for dim in self.dims.values())
        self.pooling = linear(width, out_dim, variance=_POWER ** -len(dims))

    def forward(
        self, features: Mapping[str, Tensor], present: Mapping[str, Tensor] | None = None
    ) -> Tensor:
        """See `Fusion.forward`."""
        inputs = zip(self.projections, self.masked(features, present), strict=True)
        values = torch.stack([torch.tanh(projection(x)) for projection, x in inputs])
        if present is not None:
            there = torch.stack([present[name] for name in self.dims]).unsqueeze(2)
            values = torch.where(there, values, 1.0)
        fused: Tensor = self.pooling(values.prod(0))
        return fused

    @classmethod
    def parameter_count(
        cls, dims: Mapping[str, int], out_dim: int, *, rank: int | None = None
    ) -> int:
        """Σ (D_m r + r) + r o + o."""
        width = out_dim if rank is None else rank
        return sum(dim * width + width for dim in dims.values()) + width * out_dim + out_dim
