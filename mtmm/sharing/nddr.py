"""Neural discriminative dimensionality reduction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import torch
from torch import Tensor, nn

from mtmm.settings import Range
from mtmm.sharing.base import MakePath
from mtmm.sharing.mixing import StageMixing, own_and_others


class NDDR(StageMixing):
    """After every stage each task's channels become a linear function of all tasks' channels (Gao
    et al. 2019, arXiv 1801.08297), a 1×1 convolution; without its batch normalisation.

    `own` is at first the weight of a task's own channel; the rest of 1 is spread over the same
    channel of the other tasks.
    """

    def __init__(
        self,
        make_path: MakePath,
        tasks: Sequence[str],
        *,
        own: Annotated[float, Range(low=0, high=1)] = 0.9,
    ) -> None:
        super().__init__(make_path, tasks, lambda count, channels: Reduction(count, channels, own))


class Reduction(nn.Module):
    """For each task a linear layer from all tasks' channels to as many as one has."""

    def __init__(self, tasks: int, channels: int, own: float) -> None:
        super().__init__()
        start = own_and_others(tasks, own)
        eye = torch.eye(channels)
        # [T, T, C, C]: to a task's channel from a task's channel.
        self.weight = nn.Parameter(start[:, :, None, None] * eye)
        self.bias = nn.Parameter(torch.zeros(tasks, channels))

    def forward(self, x: Tensor) -> Tensor:
        """Shapes: `[T, B, ..., C]` to the same."""
        mixed = torch.einsum("tsoc,sb...c->tb...o", self.weight, x)
        around = (1,) * (x.dim() - 2)
        return mixed + self.bias.view(len(self.bias), *around, -1)
