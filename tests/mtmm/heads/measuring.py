"""The metrics of an objective over batches."""

from __future__ import annotations

import torch
from torch import Tensor

from mtmm.heads.base import Objective


def measure(
    objective: Objective, output: Tensor, target: Tensor, labelled: Tensor, parts: int = 1
) -> dict[str, float]:
    """What it measures over a split that comes in so many batches."""
    sums = objective.sums(torch.device("cpu"))
    chunks = (tensor.chunk(parts) for tensor in (output, target, labelled))
    for o, t, there in zip(*chunks, strict=True):
        sums = objective.update(sums, o, t, there)
    return objective.measure(sums)
