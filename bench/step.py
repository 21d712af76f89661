"""One optimisation step: what a training loop repeats and what a timing block times."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import replace

import torch
from torch import Tensor, nn

from bench.diagnostics import Diary
from bench.numerics import Around, full
from mtmm.descent import Descent
from mtmm.heads.base import Objective
from mtmm.spec import Batch, SharedSpace


def unmarked() -> None:
    """The mark of a step that nobody times."""


def unclipped() -> None:
    """The clipping of a step that leaves gradients as they are."""


class TrainStep:
    """Model, losses, weighting and optimizer, stepped together.

    `mark` is called at the start of a step and after each of `phases`. Losses belong to the forward
    phase, weights to the phases of `descent`, and to the optimizer phase what comes after them: the
    gradients of learned weights, `clip`, which limits those of the model in place, and where the
    weighting wants one the forward pass after the step. Forward passes and losses are put into
    `around`; gradients are scaled by `scaler`, and are not when the weighting or `clip` see them.
    What a `diary` wants to know is noted between the phases.
    Nothing in a step waits for the device, unless the scaler has to know whether a step is taken.
    """

    def __init__(
        self,
        model: nn.Module,
        objectives: Mapping[str, Objective],
        descent: Descent,
        state: dict[str, Tensor],
        optimizer: torch.optim.Optimizer,
        clip: Callable[[], None] = unclipped,
        around: Around = nullcontext,
        scaler: torch.amp.GradScaler | None = None,
        diary: Diary | None = None,
    ) -> None:
        self.model = model
        self.objectives = objectives
        self.descent = descent
        self.weighting = descent.method
        self.state: Mapping[str, Tensor] = state
        self.optimizer = optimizer
        self.clip = clip
        self.around = around
        self.scaler = torch.amp.GradScaler("cpu", enabled=False) if scaler is None else scaler
        self.diary = diary
        self.phases = ("zero_grad", "forward", *descent.phases, "optimizer")

    def __call__(self, batch: Batch, mark: Callable[[], None] = unmarked) -> Tensor:
        """Step on `batch`; the losses `[T]` before the step, detached."""
        mark()
        self.optimizer.zero_grad(set_to_none=True)
        mark()
        random = torch.get_rng_state() if self.weighting.looks_back else None
        losses, shared = task_losses(self.model, self.objectives, batch, self.around)
        detached = torch.stack([loss.detach() for loss in losses])
        mark()
        scaled, scale = self._scaled(losses)
        if self.diary is not None:
            self.diary.note_losses(self.descent.steps, scaled, shared, scale)
        self.state = self.descent(scaled, shared, self.state, mark=mark, scale=scale)
        if self.diary is not None:
            self.diary.note_weights(self.descent.weights)
        self.scaler.unscale_(self.optimizer)
        for name, gradient in self.descent.parameter_gradients(self.state, detached).items():
            self.state[name].grad = gradient
        self.clip()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if random is not None:
            self.state = self.weighting.after_step(self.state, self._again(batch, random))
        mark()
        return detached

    def _scaled(self, losses: list[Tensor]) -> tuple[list[Tensor], Tensor | None]:
        if not self.scaler.is_enabled():
            return losses, None
        one = torch.ones((), device=losses[0].device)
        return [self.scaler.scale(loss) for loss in losses], self.scaler.scale(one)

    def _again(self, batch: Batch, random: Tensor) -> Tensor:
        """The losses of the batch after the step, by the same dropout masks.

        Statistics of normalisation layers are those of the first pass alone.
        """
        after = torch.get_rng_state()
        torch.set_rng_state(random)
        with torch.no_grad(), untracked(self.model):
            losses, _ = task_losses(self.model, self.objectives, batch, self.around)
        torch.set_rng_state(after)
        return torch.stack(losses)


def task_losses(
    model: nn.Module,
    objectives: Mapping[str, Objective],
    batch: Batch,
    around: Around = nullcontext,
) -> tuple[list[Tensor], SharedSpace]:
    """The loss of each of `objectives` on a batch, and where the tasks meet.

    `around` is as in `TrainStep`.
    """
    with around():
        output = model(batch.inputs, batch.present)
        losses = [
            objective.loss(full(output.outputs[task]), batch.targets[task], batch.labelled[task])
            for task, objective in objectives.items()
        ]
    return [full(loss) for loss in losses], _shared(model, output.shared)


def _shared(model: nn.Module, of_step: SharedSpace) -> SharedSpace:
    """Where the tasks meet: as the forward pass says, else as a model of one's own says once."""
    told = getattr(model, "shared_space", None)
    if told is None or of_step.theta:
        return of_step
    own = told()
    if not isinstance(own, SharedSpace):
        text = f"`shared_space` of '{type(model).__name__}' must return an mtmm.spec.SharedSpace"
        raise ValueError(f"{text}; found a {type(own).__name__}")
    return replace(own, z=of_step.z if own.z is None else own.z)


@contextmanager
def untracked(model: nn.Module) -> Iterator[None]:
    """Leave the running statistics of normalisation layers as they are inside."""
    layers = [
        module
        for module in model.modules()
        if isinstance(module, nn.modules.batchnorm._NormBase) and module.track_running_stats
    ]
    for layer in layers:
        layer.track_running_stats = False
    try:
        yield
    finally:
        for layer in layers:
            layer.track_running_stats = True
