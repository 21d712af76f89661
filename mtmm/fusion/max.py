"""The largest of projected features."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache

import torch
from torch import Tensor

from mtmm.fusion.projected import ProjectedFusion


class Max(ProjectedFusion):
    """The elementwise maximum of W_m x_m + b_m over the modalities that are present; 0 where none
    is.
    """

    def __init__(self, dims: Mapping[str, int], out_dim: int) -> None:
        super().__init__(dims, out_dim, 1 / _power(len(dims)))

    def forward(
        self, features: Mapping[str, Tensor], present: Mapping[str, Tensor] | None = None
    ) -> Tensor:
        """See `Fusion.forward`."""
        projected = self.projected(features, present)
        there = self.there(present, projected)
        largest = torch.where(there, projected, -torch.inf).amax(0)
        return torch.where(there.any(0), largest, 0.0)


@cache
def _power(count: int) -> float:
    """E[max²] of that many independent standard normal numbers, by the trapezoid rule."""
    step, total = 0.01, 0.0
    for i in range(-1000, 1001):
        x = i * step
        below = 0.5 * (1 + math.erf(x / math.sqrt(2)))
        density = math.exp(-x * x / 2) / math.sqrt(2 * math.pi)
        total += x * x * count * density * below ** (count - 1) * step
    return total
