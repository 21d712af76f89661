"""One optimisation step: what a training loop repeats and what a timing block times."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from mtmm.heads.base import Objective
from mtmm.spec import Batch
from mtmm.weighting.base import Weighting

PHASES = ("zero_grad", "forward", "backward", "optimizer")


def unmarked() -> None:
    """The mark of a step that nobody times."""


def unclipped() -> None:
    """The clipping of a step that leaves gradients as they are."""


class TrainStep:
    """Model, losses, weighting and optimizer, stepped together.

    `mark` is called five times a step: at its start and after each of `PHASES`. Losses and weights
    belong to the forward phase, the gradients of learned weights and `clip`, which limits those of
    the model in place, to the optimizer phase. Nothing in a step waits for the device.
    """

    def __init__(
        self,
        model: nn.Module,
        objectives: Mapping[str, Objective],
        weighting: Weighting,
        state: dict[str, Tensor],
        optimizer: torch.optim.Optimizer,
        clip: Callable[[], None] = unclipped,
    ) -> None:
        self.model = model
        self.objectives = objectives
        self.weighting = weighting
        self.state: Mapping[str, Tensor] = state
        self.optimizer = optimizer
        self.clip = clip

    def __call__(self, batch: Batch, mark: Callable[[], None] = unmarked) -> Tensor:
        """Step on `batch`; the losses `[T]` before the step, detached."""
        mark()
        self.optimizer.zero_grad(set_to_none=True)
        mark()
        losses = task_losses(self.model, self.objectives, batch)
        detached = losses.detach()
        weights, self.state = self.weighting.step(self.state, detached)
        total = torch.dot(weights.detach(), losses)
        mark()
        total.backward()  # type: ignore[no-untyped-call]
        mark()
        for name, gradient in self.weighting.parameter_gradients(self.state, detached).items():
            self.state[name].grad = gradient
        self.clip()
        self.optimizer.step()
        mark()
        return detached


def task_losses(model: nn.Module, objectives: Mapping[str, Objective], batch: Batch) -> Tensor:
    """The losses `[T]` of a batch, in the order of `objectives`."""
    outputs = model(batch.inputs, batch.present).outputs
    return torch.stack(
        [
            objective.loss(outputs[task], batch.targets[task], batch.labelled[task])
            for task, objective in objectives.items()
        ]
    )
