"""The head of MultiMNIST: a hidden layer, a mask over its values and a linear layer."""

from __future__ import annotations

from torch import Tensor, nn

from mtmm.heads.base import Head
from mtmm.heads.classification import Classification
from mtmm.masking import ElementMask
from mtmm.spec import Features, Task


class MultiLeNetHead(Head):
    """Sener & Koltun 2018 (arXiv 1810.04650) as published code has it: for their benchmark.

    A linear layer as wide as the feature, ReLU, a mask over half of its values in training, without
    rescaling, and a linear layer to the logits. At width 50 and 10 classes, 3,060 parameters.
    """

    objective = Classification
    kinds = frozenset({"classification"})

    def __init__(self, dim: int, task: Task) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(dim, dim), nn.ReLU(), ElementMask(0.5), nn.Linear(dim, task.classes)
        )

    def forward(self, features: Features) -> Tensor:
        """Shapes: the feature vector `[B, D]` to logits `[B, K]`."""
        logits: Tensor = self.layers(features.vector)
        return logits
