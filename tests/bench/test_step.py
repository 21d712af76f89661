from __future__ import annotations

import math
from typing import Any

import torch

from bench.step import TrainStep, task_losses
from bench.training import build_step
from mtmm.spec import DataBundle

CPU = torch.device("cpu")


def test_a_step_marks_its_start_and_every_phase(config: dict[str, Any], bundle: DataBundle) -> None:
    step = build_step(config, bundle, seed=0, device=CPU)
    marks: list[bool] = []
    weight = next(step.model.parameters())

    def mark() -> None:
        marks.append(weight.grad is not None)

    before = weight.detach().clone()
    step(bundle.train.take(torch.arange(8)), mark)
    assert len(marks) == len(step.phases) + 1
    assert marks == [False, False, False, True, True]  # gradients come with the backward phase
    step(bundle.train.take(torch.arange(8)), mark)
    assert marks[5:] == [True, False, False, True, True]  # and go with zero_grad
    assert not torch.equal(weight, before)


def test_clipping_belongs_to_the_optimizer_phase_and_leaves_learned_weights_alone(
    config: dict[str, Any], bundle: DataBundle
) -> None:
    def stepped(clip_norm: float | None) -> tuple[TrainStep, list[float]]:
        learned = {"name": "uncertainty", "initial": 0.0, "learning_rate": 0.5}
        train = {**config["train"], "clip_norm": clip_norm}
        changed = {**config, "weighting": learned, "train": train}
        step = build_step(changed, bundle, seed=0, device=CPU)
        norms: list[float] = []
        step(bundle.train.take(torch.arange(16)), lambda: norms.append(_norm(step)))
        return step, norms

    free, before = stepped(None)
    bound, after = stepped(0.01)
    assert before[3] == before[4] == after[3]
    assert before[3] > 0.1
    assert math.isclose(after[4], 0.01, rel_tol=1e-3)
    for step in (free, bound):
        assert step.state["log_variance"].grad is not None
    assert torch.equal(free.state["log_variance"], bound.state["log_variance"])


def _norm(step: TrainStep) -> float:
    grads = [p.grad.flatten() for p in step.model.parameters() if p.grad is not None]
    return float(torch.cat(grads).norm()) if grads else 0.0


def test_the_gradient_is_that_of_the_weighted_sum(
    config: dict[str, Any], bundle: DataBundle
) -> None:
    weighting = {"name": "static", "weights": [2.0, 0.5]}
    step = build_step({**config, "weighting": weighting}, bundle, seed=0, device=CPU)
    batch = bundle.train.take(torch.arange(16))
    losses, _ = task_losses(step.model, step.objectives, batch)
    (2 * losses[0] + 0.5 * losses[1]).backward()
    expected = [parameter.grad for parameter in step.model.parameters()]
    assert torch.equal(step(batch), torch.stack(losses).detach())
    for parameter, gradient in zip(step.model.parameters(), expected, strict=True):
        assert gradient is not None
        assert parameter.grad is not None
        torch.testing.assert_close(parameter.grad, gradient)
