"""One class out of K."""

from __future__ import annotations

from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor

from mtmm.heads.base import ClassWeights, Metric, Objective, Sums
from mtmm.heads.confusion import counted, no_counts, wrong_classes
from mtmm.heads.linear import LinearHead, check_weights
from mtmm.spec import Task

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

    def __init__(self, task: Task, class_weights: Tensor | None = None) -> None:
        super().__init__(task)
        self.class_weights = class_weights

    def weighted(self, weights: ClassWeights, target: Tensor, labelled: Tensor) -> Self:
        """See `Objective.weighted`; for `balanced` see `balanced_weights`."""
        if weights == "balanced":
            made = balanced_weights(target[labelled], self.task.classes)
        else:
            check_weights(weights, self.task)
            made = torch.tensor(weights, dtype=torch.float32, device=target.device)
        return type(self)(self.task, made)

    def unfit(self, target: Tensor, labelled: Tensor) -> str | None:
        """See `Objective.unfit`: classes, one a sample."""
        return wrong_classes(target, labelled, self.task.classes)

    def loss(self, output: Tensor, target: Tensor, labelled: Tensor) -> Tensor:
        """Mean cross-entropy in nats over the labelled samples.

        With class weights w it is Σ w_y l / Σ w_y, 0 where that is no number.
        """
        known = torch.where(labelled, target, _NO_LABEL)
        total = F.cross_entropy(output, known, weight=self.class_weights, reduction="sum")
        if self.class_weights is None:
            return total / labelled.sum().clamp(min=1)
        weight = self.class_weights[torch.where(labelled, target, 0)] * labelled
        mass = weight.sum()
        return total / torch.where(mass > 0, mass, 1.0)

    def sums(self, device: object) -> Sums:
        """Confusion counts `[K, K]` (target, prediction) and the summed loss."""
        return {
            "confusion": no_counts(self.task.classes, device),
            "loss": torch.zeros((), dtype=torch.float64, device=device),  # type: ignore[call-overload]
        }

    def update(self, sums: Sums, output: Tensor, target: Tensor, labelled: Tensor) -> Sums:
        """See `Objective.update`."""
        confusion = counted(sums["confusion"], output.argmax(1), target, labelled)
        target = torch.where(labelled, target, _NO_LABEL)
        loss = F.cross_entropy(output.float(), target, reduction="sum")
        return {"confusion": confusion, "loss": sums["loss"] + loss}

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


def balanced_weights(target: Tensor, classes: int) -> Tensor:
    """Weights `[K]` by which every class that occurs in `target` `[n]` counts the same.

    n / (K' n_k), with n_k samples of class k and K' classes that occur; 0 for the others. Over
    these samples the weights sum to n.
    """
    counts = torch.bincount(target, minlength=classes).double()
    occurs = counts > 0
    share = len(target) / (occurs.sum() * counts)
    return torch.where(occurs, share, 0.0).float()


class ClassificationHead(LinearHead):
    """A linear layer to K logits."""

    objective = Classification
