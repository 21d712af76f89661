"""Tasks of a kind of their own, `number`: how one is judged. `my_components.py` imports this."""

from __future__ import annotations

import torch
from torch import Tensor

from mtmm.heads.base import Metric, Objective, Sums


class SquaredError(Objective):
    """Mean squared error; the metric is its root, in the unit of the target. Targets are `[B]`."""

    metrics = {"rmse": Metric(higher_is_better=False, ideal=0.0)}  # noqa: RUF012
    primary = "rmse"

    def loss(self, output: Tensor, target: Tensor, labelled: Tensor) -> Tensor:
        """The mean over the labelled samples; what the others hold never matters."""
        error = torch.where(labelled, output - target, 0.0)
        return error.square().sum() / labelled.sum().clamp(min=1)

    def sums(self, device: object) -> Sums:
        """Squared errors and their number: metrics come from sums over a whole split."""
        return {"squares": torch.zeros((), device=device), "n": torch.zeros((), device=device)}

    def update(self, sums: Sums, output: Tensor, target: Tensor, labelled: Tensor) -> Sums:
        """`sums` and one more batch."""
        squares = torch.where(labelled, output - target, 0.0).square().sum()
        return {"squares": sums["squares"] + squares, "n": sums["n"] + labelled.sum()}

    def measure(self, sums: Sums) -> dict[str, float]:
        """The metrics, and `loss`."""
        mean = float(sums["squares"] / sums["n"])
        return {"rmse": mean**0.5, "loss": mean}

    def constant(self, target: Tensor, labelled: Tensor) -> Tensor:
        """The best constant prediction: what a score of 0 stands for."""
        return target[labelled].mean()
