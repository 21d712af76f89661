"""The product of projected features."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from mtmm.fusion.projected import ProjectedFusion


class Product(ProjectedFusion):
    """The elementwise product of W_m x_m + b_m over the modalities that are present; 1 where none
    is.

    Of many modalities it has heavy tails: a product of M normal numbers has kurtosis 3^M.
    """

    def forward(
        self, features: Mapping[str, Tensor], present: Mapping[str, Tensor] | None = None
    ) -> Tensor:
        """See `Fusion.forward`."""
        projected = self.projected(features, present)
        return torch.where(self.there(present, projected), projected, 1.0).prod(0)
