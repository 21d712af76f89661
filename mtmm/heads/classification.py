"""One class out of K."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mtmm.heads.base import Head, Metric, Objective, Sums
from mtmm.spec import Features, Task

_NO_LABEL = -100  # what torch's cross-entropy ignores by default


class Classification(Objective):
    """Cross-entropy; accuracy and, for imbalanced classes, balanced accuracy.

    Balanced accuracy is the mean recall of the classes that occur in the split. Outputs are logits
    `[B, K]`, targets int64 `[B]`.
    """

    metrics = {  # noqa: RUF012 (a constant of the class)
        "accuracy": Metric(higher_is_better=True, ideal=1.0),
        "balanced_accuracy": Metric(higher_is_better=True, ideal=1.0),
    }
    primary = "accuracy"

    def loss(self, output: Tensor, target: Tensor, labelled: Tensor) -> Tensor:
        """Mean cross-entropy in nats over the labelled samples."""
        target = torch.where(labelled, target, _NO_LABEL)
        return F.cross_entropy(output, target, reduction="sum") / labelled.sum().clamp(min=1)

    def sums(self, device: object) -> Sums:
        """Confusion counts `[K, K]` (target, prediction) and the summed loss."""
        classes = self.task.classes
        return {
            "confusion": torch.zeros(classes, classes, dtype=torch.int64, device=device),  # type: ignore[call-overload]
            "loss": torch.zeros((), dtype=torch.float64, device=device),  # type: ignore[call-overload]
        }

    def update(self, sums: Sums, output: Tensor, target: Tensor, labelled: Tensor) -> Sums:
        """See `Objective.update`."""
        classes = self.task.classes
        cell = torch.where(labelled, target, 0) * classes + output.argmax(1)
        counted = torch.zeros(classes * classes, dtype=torch.int64, device=output.device)
        counted = counted.index_add(0, cell, labelled.long()).view(classes, classes)
        target = torch.where(labelled, target, _NO_LABEL)
        loss = F.cross_entropy(output.float(), target, reduction="sum")
        return {"confusion": sums["confusion"] + counted, "loss": sums["loss"] + loss}

    def measure(self, sums: Sums) -> dict[str, float]:
        """See `Objective.measure`."""
        confusion = sums["confusion"].double().cpu()
        total, right, per_class = confusion.sum(), confusion.diagonal(), confusion.sum(1)
        occurs = per_class > 0
        return {
            "accuracy": float(right.sum() / total),
            "balanced_accuracy": float((right[occurs] / per_class[occurs]).mean()),
            "loss": float(sums["loss"].cpu() / total),
        }

    def constant(self, target: Tensor, labelled: Tensor) -> Tensor:
        """The logits of the majority class, the lowest of equals."""
        counts = torch.bincount(target[labelled], minlength=self.task.classes)
        return F.one_hot(counts.argmax(), self.task.classes).float()


class ClassificationHead(Head):
    """A linear layer to K logits."""

    objective = Classification

    def __init__(self, dim: int, task: Task) -> None:
        super().__init__()
        self.linear = nn.Linear(dim, task.classes)

    def forward(self, features: Features) -> Tensor:
        """Shapes: the feature vector `[B, D]` to logits `[B, K]`."""
        logits: Tensor = self.linear(features.vector)
        return logits
