from __future__ import annotations

import copy
import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import mtmm
from bench.resolving import resolve_weighting
from bench.step import TrainStep, task_losses
from bench.training import build_step
from mtmm.configuration import MODELS
from mtmm.descent import Descent
from mtmm.heads.classification import Classification
from mtmm.settings import Problem
from mtmm.spec import Batch, DataBundle, ModelOutput, SharedSpace, Task, in_memory
from mtmm.weighting import WEIGHTINGS
from mtmm.weighting.base import State, Weighting
from mtmm.weighting.usage import Usage

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


class Looking(Weighting):
    """Equal weights; remembers the losses before and after every step."""

    def __init__(self) -> None:
        self.seen: list[tuple[Tensor, Tensor]] = []

    def init(self, num_tasks: int, **where: Any) -> dict[str, Tensor]:
        return {"before": torch.zeros(num_tasks)}

    def step(self, state: State, losses: Tensor) -> tuple[Tensor, State]:
        return torch.ones_like(losses), {"before": losses}

    def after_step(self, state: State, losses: Tensor) -> State:
        self.seen.append((state["before"], losses))
        return state


SURE = [
    name
    for name, method in WEIGHTINGS.items()
    if method.draw is Weighting.draw and name != "static"
]
"""Weightings without random numbers; `static` needs weights."""


class Trunk(nn.Module):
    """A model of one's own that knows nothing of this library but what it must return."""

    def __init__(self, bundle: DataBundle, *, says: bool = True) -> None:
        super().__init__()
        (shape,) = {m.shape for m in bundle.modalities if m.kind == "image"}
        self.trunk = nn.Linear(shape[1] * shape[2], 6)
        self.tasks = nn.ModuleDict({t.name: nn.Linear(6, t.classes) for t in bundle.tasks})
        if says:
            self.shared_space = lambda: SharedSpace(theta={"t": tuple(self.trunk.parameters())})

    def forward(self, inputs: dict[str, Tensor], present: dict[str, Tensor]) -> ModelOutput:
        z = self.trunk(inputs["image"].flatten(1)).relu()
        return ModelOutput(
            outputs={name: head(z) for name, head in self.tasks.items()},
            shared=SharedSpace(z=(z,)),
        )


@pytest.mark.parametrize(
    "weighting",
    [
        *({"name": name, "space": "theta"} for name in SURE if "theta" in WEIGHTINGS[name].spaces),
        *({"name": name, "space": "z"} for name in SURE if "z" in WEIGHTINGS[name].spaces),
        *({"name": name} for name in SURE if not WEIGHTINGS[name].spaces),
    ],
    ids=lambda weighting: "-".join(weighting.values()),
)
def test_a_model_of_ones_own_gets_the_gradients_of_a_loop_of_ones_own(
    weighting: dict[str, Any],
    config: dict[str, Any],
    bundle: DataBundle,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(MODELS, "trunk", Trunk)
    problems: list[Problem] = []
    resolved = resolve_weighting(weighting, len(bundle.tasks), problems)
    assert not problems
    optimizer = {"name": "sgd", "lr": 1.0, "momentum": 0.0, "weight_decay": 0.0, "nesterov": False}
    train = {**config["train"], "optimizer": optimizer}
    changed = {**config, "model": {"name": "trunk"}, "weighting": resolved, "train": train}
    step = build_step(changed, bundle, seed=0, device=CPU)
    batch = in_memory(bundle.train).take(torch.arange(16))
    own = copy.deepcopy(step.model)
    step(batch)
    stepped = [p.grad for p in step.model.parameters()]

    output = own(batch.inputs, batch.present)
    losses = [
        judge.loss(output.outputs[task], batch.targets[task], batch.labelled[task])
        for task, judge in step.objectives.items()
    ]
    settings = {key: value for key, value in weighting.items() if key != "name"}
    method = mtmm.weighting.build(weighting["name"], num_tasks=len(losses), **settings)
    assert isinstance(own, Trunk)
    shared = output.shared.z if weighting.get("space") == "z" else list(own.trunk.parameters())
    assert shared is not None
    mtmm.backward(losses, method, shared=shared)
    for ours, theirs in zip(stepped, own.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs.grad, rtol=1e-6, atol=1e-6)


def test_a_model_that_does_not_say_what_tasks_share(
    config: dict[str, Any], bundle: DataBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Silent(Trunk):
        def __init__(self, bundle: DataBundle) -> None:
            super().__init__(bundle, says=False)

    monkeypatch.setitem(MODELS, "trunk", Silent)
    problems: list[Problem] = []
    weighting = resolve_weighting("pcgrad", len(bundle.tasks), problems)
    changed = {**config, "model": {"name": "trunk"}, "weighting": weighting}
    step = build_step(changed, bundle, seed=0, device=CPU)
    with pytest.raises(ValueError, match="takes gradients in theta, which the model has not"):
        step(in_memory(bundle.train).take(torch.arange(8)))


class Noisy(nn.Module):
    """Batch normalisation and dropout before two heads."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.drop, self.head = nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 3)

    def forward(self, inputs: dict[str, Tensor], present: dict[str, Tensor]) -> ModelOutput:
        logits = self.head(self.drop(self.norm(inputs["x"])))
        return ModelOutput(outputs={"a": logits, "b": 2 * logits})


def test_a_second_look_has_the_same_dropout_and_leaves_statistics_alone() -> None:
    torch.manual_seed(0)
    model, method = Noisy(), Looking()
    tasks = {
        name: Classification(Task(name=name, kind="classification", classes=3)) for name in "ab"
    }
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)  # nothing moves
    descent = Descent(method, Usage.of(Looking, {}), parameters=model.parameters())
    step = TrainStep(model, tasks, descent, method.init(2), optimizer)
    labels = {name: torch.randint(3, (16,)) for name in "ab"}
    there = torch.ones(16, dtype=torch.bool)
    batch = Batch(
        inputs={"x": torch.randn(16, 4)},
        targets=labels,
        present={"x": there},
        labelled=dict.fromkeys("ab", there),
    )
    losses = step(batch)
    ((before, after),) = method.seen
    assert torch.equal(before, losses)
    assert torch.equal(after, losses)
    assert model.norm.num_batches_tracked == 1
    assert model.norm.track_running_stats
    assert not torch.equal(step(batch), losses)  # the next step has masks of its own


def test_a_weighting_that_does_not_look_back_costs_one_forward_pass(
    config: dict[str, Any], bundle: DataBundle
) -> None:
    for name, passes in (("equal", 1), ("famo", 2)):
        step = build_step({**config, "weighting": {"name": name}}, bundle, seed=0, device=CPU)
        calls: list[int] = []
        step.model.register_forward_hook(lambda *_, calls=calls: calls.append(1))
        step(bundle.train.take(torch.arange(8)))
        assert len(calls) == passes


@pytest.mark.parametrize("name", sorted(WEIGHTINGS))
def test_every_weighting_trains_a_step_with_missing_labels(
    name: str, config: dict[str, Any], bundle: DataBundle
) -> None:
    step = build_step({**config, "weighting": {"name": name}}, bundle, seed=0, device=CPU)
    batch = bundle.train.take(torch.arange(16))
    without = {task: there & (task != "slant") for task, there in batch.labelled.items()}
    for labelled in (batch.labelled, without):
        before = [parameter.detach().clone() for parameter in step.model.parameters()]
        losses = step(replace(batch, labelled=labelled))
        assert losses.isfinite().all()
        after = list(step.model.parameters())
        assert all(parameter.isfinite().all() for parameter in after)
        assert not all(map(torch.equal, before, after))
