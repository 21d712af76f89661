"""One of K classes in an order, such as grades."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mtmm.heads.base import Head, Metric, Objective, Sums
from mtmm.heads.confusion import counted, no_counts, wrong_classes
from mtmm.spec import Features, Task


class Ordinal(Objective):
    """Cross-entropy of "above k", for every k; mean distance in ranks, accuracy, weighted kappa.

    CORAL (Cao, Mirjalili & Raschka 2020, arXiv 1901.07884). Outputs are logits `[B, K - 1]` of
    being above rank 0, 1, ..., targets int64 `[B]`; the predicted rank is how many are above 0.
    Kappa is Cohen's with squared distances as weights.
    """

    metrics = {  # noqa: RUF012 (a constant of the class)
        "mae": Metric(higher_is_better=False, ideal=0.0),
        "accuracy": Metric(higher_is_better=True, ideal=1.0),
        "kappa": Metric(higher_is_better=True, ideal=1.0),
    }
    primary = "mae"

    def unfit(self, target: Tensor, labelled: Tensor) -> str | None:
        """See `Objective.unfit`: ranks, one a sample."""
        return wrong_classes(target, labelled, self.task.classes)

    def loss(self, output: Tensor, target: Tensor, labelled: Tensor) -> Tensor:
        """Binary cross-entropies in nats, summed over ranks, mean over the labelled samples."""
        return self._summed(output, target, labelled) / labelled.sum().clamp(min=1)

    def sums(self, device: object) -> Sums:
        """Confusion counts `[K, K]` (target, prediction) and the summed loss."""
        return {
            "confusion": no_counts(self.task.classes, device),
            "loss": torch.zeros((), dtype=torch.float64, device=device),  # type: ignore[call-overload]
        }

    def update(self, sums: Sums, output: Tensor, target: Tensor, labelled: Tensor) -> Sums:
        """See `Objective.update`."""
        rank = (output > 0).sum(1)
        loss = self._summed(output.float(), target, labelled)
        return {
            "confusion": counted(sums["confusion"], rank, target, labelled),
            "loss": sums["loss"] + loss,
        }

    def measure(self, sums: Sums) -> dict[str, float]:
        """See `Objective.measure`; kappa is 0 where all targets and predictions are one class."""
        confusion = sums["confusion"].double().cpu()
        total = confusion.sum()
        rank = torch.arange(self.task.classes, dtype=torch.float64)
        distance = (rank[:, None] - rank).abs()
        by_chance = confusion.sum(1)[:, None] * confusion.sum(0) / total
        expected = (distance.square() * by_chance).sum()
        seen = (distance.square() * confusion).sum()
        kappa = torch.where(expected > 0, 1 - seen / expected, 0.0 * total / total)
        return {
            "mae": float((distance * confusion).sum() / total),
            "accuracy": float(confusion.diagonal().sum() / total),
            "kappa": float(kappa),
            "loss": float(sums["loss"].cpu() / total),
        }

    def constant(self, target: Tensor, labelled: Tensor) -> Tensor:
        """The logits of the median rank, the lower of two."""
        median = target[labelled].median()
        return torch.where(self._ranks(target) < median, 1.0, -1.0)

    def _ranks(self, like: Tensor) -> Tensor:
        return torch.arange(self.task.classes - 1, device=like.device)

    def _summed(self, output: Tensor, target: Tensor, labelled: Tensor) -> Tensor:
        above = (target[:, None] > self._ranks(target)).to(output.dtype)
        each = F.binary_cross_entropy_with_logits(output, above, reduction="none").sum(1)
        return torch.where(labelled, each, 0.0).sum()


class OrdinalHead(Head):
    """One linear score for all ranks, and a threshold for each."""

    objective = Ordinal

    def __init__(self, dim: int, task: Task) -> None:
        super().__init__()
        self.score = nn.Linear(dim, 1, bias=False)
        # Spread at the start, so that every rank can be predicted.
        self.above = nn.Parameter(torch.linspace(1.0, -1.0, task.classes - 1))

    def forward(self, features: Features) -> Tensor:
        """Shapes: the feature vector `[B, D]` to logits `[B, K - 1]`."""
        logits: Tensor = self.score(features.vector) + self.above
        return logits
