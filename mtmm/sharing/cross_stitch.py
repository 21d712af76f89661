"""Cross-stitch networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import torch
from torch import Tensor, nn

from mtmm.settings import Range
from mtmm.sharing.base import MakePath
from mtmm.sharing.mixing import StageMixing, own_and_others


class CrossStitch(StageMixing):
    """After every stage x_t becomes Σ_s a_ts x_s, with a learned matrix for each stage (Misra et
    al. 2016, arXiv 1604.03539).

    `own` is a_tt at first; the rest of 1 is spread over the other tasks. With 1 it starts as
    `separate`.
    """

    def __init__(
        self,
        make_path: MakePath,
        tasks: Sequence[str],
        *,
        own: Annotated[float, Range(low=0, high=1)] = 0.9,
    ) -> None:
        super().__init__(make_path, tasks, lambda count, channels: Stitch(count, own))


class Stitch(nn.Module):
    """A learned linear combination of the tasks' features."""

    def __init__(self, tasks: int, own: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(own_and_others(tasks, own))

    def forward(self, x: Tensor) -> Tensor:
        """Shapes: `[T, B, ..., C]` to the same."""
        mixed: Tensor = torch.tensordot(self.weight, x, dims=1)
        return mixed
