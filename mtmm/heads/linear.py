"""What heads with classes share: a linear layer, and weights of classes."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor, nn

from mtmm.heads.base import Head
from mtmm.spec import Features, Task


class LinearHead(Head):
    """A linear layer to as many numbers as the task has classes."""

    def __init__(self, dim: int, task: Task) -> None:
        super().__init__()
        self.linear = nn.Linear(dim, task.classes)

    def forward(self, features: Features) -> Tensor:
        """Shapes: the feature vector `[B, D]` to `[B, K]`."""
        logits: Tensor = self.linear(features.vector)
        return logits


def check_weights(weights: Sequence[float], task: Task) -> None:
    """ValueError unless they are finite, one a class, at least 0 and not all of them 0."""
    fit = len(weights) == task.classes and all(math.isfinite(w) and w >= 0 for w in weights)
    if not fit or not any(weights):
        text = f"task '{task.name}' needs {task.classes} finite numbers of at least 0, not all 0"
        raise ValueError(f"`class_weights` of {text}; found {list(weights)}")
