"""Dropout as multi-task benchmarks have it: a mask without the usual rescaling."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ElementMask(nn.Module):
    """In training each value is 0 with probability `drop`, else as it is; otherwise all are kept.

    What `torch.nn.Dropout` divides by 1 - `drop` stays undivided: outputs are larger, in the mean,
    when nothing is dropped.
    """

    def __init__(self, drop: float) -> None:
        super().__init__()
        self.drop = drop

    def forward(self, x: Tensor) -> Tensor:
        """Shapes: any to the same."""
        return x * self._kept(x, x.shape) if self.training else x

    def _kept(self, x: Tensor, shape: torch.Size) -> Tensor:
        return torch.rand(shape, device=x.device) >= self.drop


class ChannelMask(ElementMask):
    """The same for whole channels, which are dropped for all samples of a batch at once."""

    def forward(self, x: Tensor) -> Tensor:
        """Shapes: `[B, C, H, W]` to the same."""
        return x * self._kept(x, torch.Size((1, x.shape[1], 1, 1))) if self.training else x
