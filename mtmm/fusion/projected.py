"""What fusions share that first bring every modality to one width."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mtmm.fusion.base import Fusion, linear


class ProjectedFusion(Fusion):
    """A linear layer for each modality, in the order of their names; subclasses join the results.

    `variance` is that of the layers' outputs for inputs of variance 1, at initialisation.
    """

    def __init__(self, dims: Mapping[str, int], out_dim: int, variance: float = 1.0) -> None:
        super().__init__(dims, out_dim)
        self.projections = nn.ModuleList(
            linear(dim, out_dim, variance=variance) for dim in self.dims.values()
        )

    def projected(
        self, features: Mapping[str, Tensor], present: Mapping[str, Tensor] | None
    ) -> Tensor:
        """The projected features `[M, B, out_dim]`; those of absent modalities are the bias."""
        inputs = zip(self.projections, self.masked(features, present), strict=True)
        return torch.stack([projection(x) for projection, x in inputs])

    def there(self, present: Mapping[str, Tensor] | None, like: Tensor) -> Tensor:
        """Which modalities are there: boolean `[M, B, 1]`, for results `[M, B, out_dim]`."""
        if present is None:
            return torch.ones_like(like[..., :1], dtype=torch.bool)
        return torch.stack([present[name] for name in self.dims]).unsqueeze(2)

    @classmethod
    def parameter_count(cls, dims: Mapping[str, int], out_dim: int) -> int:
        """Σ (D_m o + o)."""
        return sum(dim * out_dim + out_dim for dim in dims.values())
