"""The sum of projected features."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mtmm.fusion.base import Fusion, linear


class Sum(Fusion):
    """Σ_m W_m x_m + b_m over the modalities that are present.

    The same function class as `concat`; it differs in how it is initialised, in M − 1 redundant
    biases, and in that an absent modality takes its bias with it.
    """

    def __init__(self, dims: Mapping[str, int], out_dim: int) -> None:
        super().__init__(dims, out_dim)
        self.projections = nn.ModuleList(
            linear(dim, out_dim, variance=1 / len(dims)) for dim in self.dims.values()
        )

    def forward(
        self, features: Mapping[str, Tensor], present: Mapping[str, Tensor] | None = None
    ) -> Tensor:
        """See `Fusion.forward`."""
        inputs = zip(self.projections, self.masked(features, present), strict=True)
        terms: list[Tensor] = [projection(x) for projection, x in inputs]
        if present is not None:
            named = zip(self.dims, terms, strict=True)
            terms = [torch.where(present[name][:, None], term, 0.0) for name, term in named]
        return torch.stack(terms).sum(0)

    @classmethod
    def parameter_count(cls, dims: Mapping[str, int], out_dim: int) -> int:
        """Σ (D_m o + o)."""
        return sum(dim * out_dim + out_dim for dim in dims.values())
