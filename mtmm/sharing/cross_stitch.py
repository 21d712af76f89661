"""Cross-stitch networks."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mtmm.sharing.mixing import StageMixing


class CrossStitch(StageMixing):
    """After every stage x_t becomes Σ_s a_ts x_s, with a learned matrix for each stage (Misra et
    al. 2016, arXiv 1604.03539). Published networks may also have one for each channel.

    `own` is a_tt at first; the rest of 1 is spread over the other tasks. With 1 it starts as
    `separate`.
    """

    def mixer(self, start: Tensor, channels: int) -> nn.Module:
        """See `StageMixing.mixer`."""
        return Stitch(start)


class Stitch(nn.Module):
    """A learned linear combination of the tasks' features."""

    def __init__(self, start: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(start.clone())

    def forward(self, x: Tensor) -> Tensor:
        """Shapes: `[T, B, ..., C]` to the same."""
        mixed: Tensor = torch.tensordot(self.weight.to(x.dtype), x, dims=1)
        return mixed
