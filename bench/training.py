"""One train cell: a variant and a seed in, what it scored out."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from bench.evaluation import Measures, evaluate, primary_score, task_scores, trivial
from bench.optimization import build_optimizer, build_schedule
from bench.step import TrainStep
from mtmm.heads import objectives
from mtmm.heads.base import Objective
from mtmm.model import build_model
from mtmm.registry import settings_in
from mtmm.seeding import derive, generator
from mtmm.spec import Batch, DataBundle, Description
from mtmm.weighting import WEIGHTINGS

Config = Mapping[str, Any]
Weights = dict[str, Tensor]


@dataclass
class Selection:
    """The best epoch by the score on val, for one group of tasks."""

    tasks: tuple[str, ...]
    score: float = -math.inf
    epoch: int = 0


@dataclass
class Progress:
    """What a run has learned about itself so far."""

    curve: list[dict[str, Any]] = field(default_factory=list)
    selections: list[Selection] = field(default_factory=list)
    weights: dict[int, Weights] = field(default_factory=dict)
    """Weights after the epochs that some selection holds best."""


class DivergedError(ArithmeticError):
    """A loss was not finite."""


def train(config: Config, bundle: DataBundle, *, seed: int, device: torch.device) -> dict[str, Any]:
    """Train one cell and return its part of the record: scores, metrics, curve, cost.

    `config` is a resolved variant, `bundle` its data on `device`. On a CPU the result is a
    function of its arguments, bit for bit. Raises DivergedError when a loss stops being finite.
    """
    with threads(config["train"]["threads"]), torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, "dropout"))
        return _train(config, bundle, seed, device)


def build_step(
    config: Config, description: Description, *, seed: int, device: torch.device
) -> TrainStep:
    """The model of a variant on `device`, ready to be stepped."""
    model = build_model(config["model"], description, seed=seed)
    # A quarter off a convolutional network's step on a CPU, more with tensor cores.
    model = model.to(device).to(memory_format=torch.channels_last)
    judged = objectives(description.tasks)
    weighting = WEIGHTINGS[config["weighting"]["name"]](**settings_in(config["weighting"]))
    state = weighting.init(len(judged), device=device, dtype=torch.float32)
    for name in weighting.learned:
        state[name] = nn.Parameter(state[name])
    learned = [
        {"params": [state[name]], "lr": weighting.learning_rate, "weight_decay": 0.0}
        for name in weighting.learned
    ]
    optimizer = build_optimizer(config["train"]["optimizer"], model, learned)
    return TrainStep(model, judged, weighting, state, optimizer)


def train_epoch(
    step: TrainStep,
    split: Batch,
    batch_size: int,
    order: torch.Generator,
    schedule: LambdaLR,
) -> Tensor:
    """Step through one epoch; the mean losses `[T]`. Nothing in it waits for the device."""
    total, steps = torch.zeros((), device=split.device), 0
    for batch in batches(split, batch_size, order):
        total = total + step(batch)
        schedule.step()
        steps += 1
    return total / steps


def batches(split: Batch, batch_size: int, order: torch.Generator) -> Iterator[Batch]:
    """One epoch of shuffled batches of exactly `batch_size` samples, or of all if there are fewer.

    What does not fill a batch is left out of this epoch; the next one shuffles anew.
    """
    shuffled = torch.randperm(len(split), generator=order).to(split.device)
    steps, size = epoch_shape(split, batch_size)
    for start in range(0, steps * size, size):
        yield split.take(shuffled[start : start + size])


def epoch_shape(split: Batch, batch_size: int) -> tuple[int, int]:
    """Steps of an epoch, and the samples of each step."""
    size = min(batch_size, len(split))
    return len(split) // size, size


def evaluated(bundle: DataBundle) -> dict[str, Batch]:
    """The splits that are scored, by name."""
    return {"val": bundle.val, "test": bundle.test}


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Let PyTorch compute with that many threads inside."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _train(config: Config, bundle: DataBundle, seed: int, device: torch.device) -> dict[str, Any]:
    step = build_step(config, bundle, seed=seed, device=device)
    settings = config["train"]
    steps_per_epoch, size = epoch_shape(bundle.train, settings["batch_size"])
    steps = settings["epochs"] * steps_per_epoch
    schedule = build_schedule(settings["schedule"], step.optimizer, steps)
    order = generator(seed, "order")
    constants = {
        name: trivial(step.objectives, bundle, split) for name, split in evaluated(bundle).items()
    }
    _check_scores(step.objectives, constants)
    progress = Progress(selections=_selections(step.model, tuple(step.objectives)))
    started = time.perf_counter()
    for epoch in range(1, settings["epochs"] + 1):
        losses = train_epoch(step, bundle.train, settings["batch_size"], order, schedule)
        mean = dict(zip(step.objectives, losses.tolist(), strict=True))
        _check_finite(mean, f"in epoch {epoch}")
        measures = evaluate(step.model, step.objectives, bundle.val)
        # The last step of an epoch shows only here what it did.
        _check_finite({task: m["loss"] for task, m in measures.items()}, f"after epoch {epoch}")
        scores = task_scores(step.objectives, measures, constants["val"])
        progress.curve.append(
            {"epoch": epoch, "loss": mean, "val": measures, "val_score": primary_score(scores)}
        )
        select(progress, step.model, epoch, scores)
    seconds = time.perf_counter() - started
    return {
        **_report(step, bundle, progress, constants),
        "curve": progress.curve,
        "seconds": seconds,
        "steps": steps,
        "samples": steps * size,
        "params": sum(parameter.numel() for parameter in step.model.parameters()),
    }


def select(progress: Progress, model: nn.Module, epoch: int, scores: Mapping[str, float]) -> None:
    """Note where this epoch is the best so far, and keep the weights that are needed for it."""
    for selection in progress.selections:
        score = primary_score({task: scores[task] for task in selection.tasks})
        if score > selection.score or selection.epoch == 0:
            selection.score, selection.epoch = score, epoch
    needed = {selection.epoch for selection in progress.selections}
    if epoch in needed:
        progress.weights[epoch] = {
            name: value.detach().clone() for name, value in model.state_dict().items()
        }
    for old in set(progress.weights) - needed:
        del progress.weights[old]


def _selections(model: nn.Module, tasks: tuple[str, ...]) -> list[Selection]:
    # Tasks that cannot influence each other choose their epochs alone, as single-task runs would.
    if getattr(model, "independent", False):
        return [Selection((task,)) for task in tasks]
    return [Selection(tasks)]


def _check_finite(losses: Mapping[str, float], when: str) -> None:
    if not all(map(math.isfinite, losses.values())):
        raise DivergedError(f"a loss was not finite {when}: {losses}")


def _check_scores(judged: Mapping[str, Objective], constants: Mapping[str, Measures]) -> None:
    for split, constant in constants.items():
        for task, score in task_scores(judged, constant, constant).items():
            if math.isnan(score):
                text = "needs labelled samples there that no constant prediction gets all right"
                raise ValueError(f"task '{task}' has no score on {split}: it {text}")


def _report(
    step: TrainStep,
    bundle: DataBundle,
    progress: Progress,
    constants: Mapping[str, Measures],
) -> dict[str, Any]:
    """Metrics and scores of both splits at the chosen epochs."""
    chosen: dict[str, Measures] = {"val": {}, "test": {}}
    epochs: dict[str, int] = {}
    for epoch, weights in progress.weights.items():
        step.model.load_state_dict(weights)
        test = evaluate(step.model, step.objectives, bundle.test)
        val: Measures = progress.curve[epoch - 1]["val"]
        for selection in progress.selections:
            if selection.epoch == epoch:
                for task in selection.tasks:
                    chosen["val"][task], chosen["test"][task] = val[task], test[task]
                    epochs[task] = epoch
    report: dict[str, Any] = {"epochs": epochs, "scores": {}}
    for split, of_tasks in chosen.items():
        report[split] = {task: of_tasks[task] for task in step.objectives}
        scores = task_scores(step.objectives, report[split], constants[split])
        report["scores"][split] = primary_score(scores)
    return report
