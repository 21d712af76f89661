"""A number."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from mtmm.heads.base import Head, Metric, Objective, Sums
from mtmm.spec import Features, Task

_SUMS = ("n", "target", "target_squares", "squares", "absolute")


class Regression(Objective):
    """Squared error; its root, the mean absolute error and the share of variance explained.

    Outputs and targets are numbers `[B]` in the task's unit. The loss is in units of the task's
    `scale`, so that a task weighs the same whatever its unit; metrics are in the unit itself.
    """

    metrics = {  # noqa: RUF012 (a constant of the class)
        "rmse": Metric(higher_is_better=False, ideal=0.0),
        "mae": Metric(higher_is_better=False, ideal=0.0),
        "r2": Metric(higher_is_better=True, ideal=1.0),
    }
    primary = "rmse"

    def unfit(self, target: Tensor, labelled: Tensor) -> str | None:
        """See `Objective.unfit`: finite numbers, one a sample."""
        if not target.is_floating_point() or target.dim() != 1:
            return f"floating point and [B]; found {target.dtype} {list(target.shape)}"
        strange = target[labelled & ~torch.isfinite(target)]
        return f"finite where labelled; found {float(strange[0])}" if len(strange) else None

    def loss(self, output: Tensor, target: Tensor, labelled: Tensor) -> Tensor:
        """Mean squared error over the labelled samples, in squares of the task's scale."""
        error = torch.where(labelled, output - torch.where(labelled, target, 0.0), 0.0)
        return (error / self.task.scale).square().sum() / labelled.sum().clamp(min=1)

    def sums(self, device: object) -> Sums:
        """Count, sums of targets, errors, and their squares, about the task's offset."""
        return {
            name: torch.zeros((), dtype=torch.float64, device=device)  # type: ignore[call-overload]
            for name in _SUMS
        }

    def update(self, sums: Sums, output: Tensor, target: Tensor, labelled: Tensor) -> Sums:
        """See `Objective.update`."""
        # Away from 0 squares would swallow the digits that the variance is made of.
        centred = torch.where(labelled, target.double() - self.task.offset, 0.0)
        error = torch.where(labelled, output.double() - self.task.offset - centred, 0.0)
        more = {
            "n": labelled.sum(),
            "target": centred.sum(),
            "target_squares": centred.square().sum(),
            "squares": error.square().sum(),
            "absolute": error.abs().sum(),
        }
        return {name: sums[name] + more[name] for name in sums}

    def measure(self, sums: Sums) -> dict[str, float]:
        """See `Objective.measure`; `r2` is NaN where all targets are equal."""
        n, target, target_squares, squares, absolute = (float(sums[name]) for name in _SUMS)
        if not n:
            return dict.fromkeys((*self.metrics, "loss"), math.nan)
        variance = target_squares - target**2 / n
        return {
            "rmse": math.sqrt(squares / n),
            "mae": absolute / n,
            "r2": 1 - squares / variance if variance > 0 else math.nan,
            "loss": squares / n / self.task.scale**2,
        }

    def constant(self, target: Tensor, labelled: Tensor) -> Tensor:
        """The mean."""
        return target[labelled].double().mean().to(target.dtype)


class RegressionHead(Head):
    """A linear layer to one number, in units of the task's scale about its offset."""

    objective = Regression

    def __init__(self, dim: int, task: Task) -> None:
        super().__init__()
        self.linear = nn.Linear(dim, 1)
        self.offset, self.scale = task.offset, task.scale

    def forward(self, features: Features) -> Tensor:
        """Shapes: the feature vector `[B, D]` to `[B]`, in the task's unit."""
        number: Tensor = self.linear(features.vector).squeeze(1)
        return self.offset + self.scale * number
