"""One optimisation step: what a training loop repeats and what a timing block times."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext

import torch
from torch import Tensor, nn

from bench.numerics import Around, full
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
    the model in place, to the optimizer phase. The forward pass and its losses are put into
    `around`; gradients are scaled by `scaler`, and are not when the weighting or `clip` see them.
    Nothing in a step waits for the device, unless the scaler has to know whether a step is taken.
    """

    def __init__(
        self,
        model: nn.Module,
        objectives: Mapping[str, Objective],
        weighting: Weighting,
        state: dict[str, Tensor],
        optimizer: torch.optim.Optimizer,
        clip: Callable[[], None] = unclipped,
        around: Around = nullcontext,
        scaler: torch.amp.GradScaler | None = None,
    ) -> None:
        self.model = model
        self.objectives = objectives
        self.weighting = weighting
        self.state: Mapping[str, Tensor] = state
        self.optimizer = optimizer
        self.clip = clip
        self.around = around
        self.scaler = torch.amp.GradScaler("cpu", enabled=False) if scaler is None else scaler

    def __call__(self, batch: Batch, mark: Callable[[], None] = unmarked) -> Tensor:
        """Step on `batch`; the losses `[T]` before the step, detached."""
        mark()
        self.optimizer.zero_grad(set_to_none=True)
        mark()
        losses = task_losses(self.model, self.objectives, batch, self.around)
        detached = losses.detach()
        weights, self.state = self.weighting.step(self.state, detached)
        total = torch.dot(weights.detach(), losses)
        mark()
        self.scaler.scale(total).backward()  # type: ignore[no-untyped-call]
        mark()
        self.scaler.unscale_(self.optimizer)
        for name, gradient in self.weighting.parameter_gradients(self.state, detached).items():
            self.state[name].grad = gradient
        self.clip()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        mark()
        return detached


def task_losses(
    model: nn.Module,
    objectives: Mapping[str, Objective],
    batch: Batch,
    around: Around = nullcontext,
) -> Tensor:
    """The losses `[T]` of a batch, in the order of `objectives`; `around` as in `TrainStep`."""
    with around():
        outputs = model(batch.inputs, batch.present).outputs
        losses = [
            objective.loss(full(outputs[task]), batch.targets[task], batch.labelled[task])
            for task, objective in objectives.items()
        ]
    return torch.stack([full(loss) for loss in losses])
