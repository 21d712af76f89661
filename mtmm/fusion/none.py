"""No fusion: a single modality."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from mtmm.fusion.base import Fusion, linear


class NoFusion(Fusion):
    """The only modality's feature, projected where its width is not the path's."""

    max_modalities = 1

    def __init__(self, dims: Mapping[str, int], out_dim: int) -> None:
        super().__init__(dims, out_dim)
        (dim,) = dims.values()
        self.projection = nn.Identity() if dim == out_dim else linear(dim, out_dim)

    def forward(
        self, features: Mapping[str, Tensor], present: Mapping[str, Tensor] | None = None
    ) -> Tensor:
        """See `Fusion.forward`."""
        (feature,) = self.masked(features, present)
        projected: Tensor = self.projection(feature)
        return projected

    @classmethod
    def parameter_count(cls, dims: Mapping[str, int], out_dim: int) -> int:
        """0, or D·o + o of the projection."""
        (dim,) = dims.values()
        return 0 if dim == out_dim else dim * out_dim + out_dim
