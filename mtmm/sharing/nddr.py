"""Neural discriminative dimensionality reduction."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mtmm.sharing.mixing import StageMixing


class NDDR(StageMixing):
    """After every stage each task's channels become a linear function of all tasks' channels (Gao
    et al. 2019, arXiv 1801.08297), a 1×1 convolution; without its batch normalisation.

    `own` is at first the weight of a task's own channel; the rest of 1 is spread over the same
    channel of the other tasks.
    """

    joins_modalities = True

    def mixer(self, start: Tensor, channels: int) -> nn.Module:
        """See `StageMixing.mixer`."""
        return Reduction(start, channels)


class Reduction(nn.Module):
    """For each task a linear layer from all tasks' channels to as many as one has."""

    def __init__(self, start: Tensor, channels: int) -> None:
        super().__init__()
        # [T, T, C, C]: to a task's channel from a task's channel.
        self.weight = nn.Parameter(start[:, :, None, None] * torch.eye(channels))
        self.bias = nn.Parameter(torch.zeros(len(start), channels))

    def forward(self, x: Tensor) -> Tensor:
        """Shapes: `[T, B, ..., C]` to the same."""
        mixed = torch.einsum("tsoc,sb...c->tb...o", self.weight, x)
        around = (1,) * (x.dim() - 2)
        return mixed + self.bias.view(len(self.bias), *around, -1)
