"""Any number out of L labels."""

from __future__ import annotations

from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor

from mtmm.heads.base import ClassWeights, Metric, Objective, Sums
from mtmm.heads.linear import LinearHead, check_weights
from mtmm.spec import Task


class MultiLabel(Objective):
    """Binary cross-entropy; accuracy over all labels, balanced accuracy, macro F1.

    Outputs are logits `[B, L]`, targets integers `[B, L]`: 1 has the label, 0 has not, -1 unknown.
    Balanced accuracy is the mean recall of having and not having a label, over the labels that have
    both; F1 the mean over labels that are there or predicted.
    """

    metrics = {  # noqa: RUF012 (a constant of the class)
        "accuracy": Metric(higher_is_better=True, ideal=1.0),
        "balanced_accuracy": Metric(higher_is_better=True, ideal=1.0),
        "f1": Metric(higher_is_better=True, ideal=1.0),
    }
    primary = "accuracy"

    def __init__(self, task: Task, positive_weights: Tensor | None = None) -> None:
        super().__init__(task)
        self.positive_weights = positive_weights

    def weighted(self, weights: ClassWeights, target: Tensor, labelled: Tensor) -> Self:
        """Having a label counts as much as its weight; `balanced`: as often as not having it."""
        if weights == "balanced":
            known = labelled[:, None] & (target >= 0)
            having, lacking = ((known & (target == value)).sum(0) for value in (1, 0))
            made = torch.where(having > 0, lacking / having.clamp(min=1), 1.0)
        else:
            check_weights(weights, self.task)
            made = torch.tensor(weights, dtype=torch.float32, device=target.device)
        return type(self)(self.task, made)

    def unfit(self, target: Tensor, labelled: Tensor) -> str | None:
        """See `Objective.unfit`."""
        if target.is_floating_point() or target.shape[1:] != (self.task.classes,):
            text = f"integers and [B, {self.task.classes}]"
            return f"{text}; found {target.dtype} {list(target.shape)}"
        known = target[labelled]
        low, high = (int(known.min()), int(known.max())) if len(known) else (0, 0)
        if low < -1 or high > 1:
            return f"1, 0 or -1 (unknown) where labelled; found {low} to {high}"
        return None

    def loss(self, output: Tensor, target: Tensor, labelled: Tensor) -> Tensor:
        """Mean binary cross-entropy in nats over the known labels."""
        known = labelled[:, None] & (target >= 0)
        return self._summed(output, target, known, self.positive_weights) / known.sum().clamp(min=1)

    def sums(self, device: object) -> Sums:
        """Counts `[2, 2, L]` (target, prediction) and the summed loss."""
        return {
            "counts": torch.zeros(2, 2, self.task.classes, dtype=torch.int64, device=device),  # type: ignore[call-overload]
            "loss": torch.zeros((), dtype=torch.float64, device=device),  # type: ignore[call-overload]
        }

    def update(self, sums: Sums, output: Tensor, target: Tensor, labelled: Tensor) -> Sums:
        """See `Objective.update`."""
        known = labelled[:, None] & (target >= 0)
        predicted = output > 0
        counts = [
            [(known & (target == has) & (predicted == told)).sum(0) for told in (False, True)]
            for has in (0, 1)
        ]
        counted = torch.stack([torch.stack(row) for row in counts])
        loss = self._summed(output.float(), target, known, None)
        return {"counts": sums["counts"] + counted, "loss": sums["loss"] + loss}

    def measure(self, sums: Sums) -> dict[str, float]:
        """See `Objective.measure`."""
        counts = sums["counts"].double().cpu()
        (right_without, wrong_with), (wrong_without, right_with) = counts
        total = counts.sum()
        lacking, having = counts.sum(1)
        both = (lacking > 0) & (having > 0)
        recalls = (right_without / lacking + right_with / having)[both] / 2
        seen = having + wrong_with
        f1 = (2 * right_with / (2 * right_with + wrong_with + wrong_without))[seen > 0]
        return {
            "accuracy": float((right_without + right_with).sum() / total),
            "balanced_accuracy": float(recalls.mean()),
            "f1": float(f1.mean()),
            "loss": float(sums["loss"].cpu() / total),
        }

    def constant(self, target: Tensor, labelled: Tensor) -> Tensor:
        """The logits of what most samples have, label by label; of equals, not to have it."""
        known = labelled[:, None] & (target >= 0)
        having, lacking = ((known & (target == value)).sum(0) for value in (1, 0))
        return torch.where(having > lacking, 1.0, -1.0)

    def _summed(
        self, output: Tensor, target: Tensor, known: Tensor, weights: Tensor | None
    ) -> Tensor:
        wanted = torch.where(known, target, 0).to(output.dtype)
        each = F.binary_cross_entropy_with_logits(
            output, wanted, pos_weight=weights, reduction="none"
        )
        return torch.where(known, each, 0.0).sum()


class MultiLabelHead(LinearHead):
    """A linear layer to L logits."""

    objective = MultiLabel
