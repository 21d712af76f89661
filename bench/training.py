"""One train cell: a variant and a seed in, what it scored out."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from bench.checkpoint import Checkpoint, TrainingState
from bench.conforming import check_in_memory, check_model
from bench.diagnostics import Diary
from bench.evaluation import Measures, evaluate, primary_score, task_scores, trivial
from bench.frozen import freeze_features
from bench.keeping import Keep, keep
from bench.loading import Feed, epoch_shape, feed_of
from bench.missing import dropping
from bench.numerics import around_forward, compile_counts, prepare, restored, scaler_of
from bench.optimization import build_optimizer, build_schedule, clipping, freeze
from bench.robustness import Condition, Load, conditions, told
from bench.selection import Progress, Selection, select
from bench.step import TrainStep, unclipped
from mtmm.descent import Descent
from mtmm.heads.base import Objective
from mtmm.heads.judging import objectives, weighted
from mtmm.model import build_model
from mtmm.seeding import derive, generator
from mtmm.settings import listed
from mtmm.sharing.base import Island
from mtmm.spec import Batch, DataBundle, Split
from mtmm.weighting.making import make

Config = Mapping[str, Any]


Watch = Callable[[Sequence[Mapping[str, Any]]], bool]
"""Is shown the curve after every epoch but the last; whether to give the cell up."""


class DivergedError(ArithmeticError):
    """A loss was not finite."""


class PrunedError(Exception):
    """Whoever watched has given the cell up; `trained` is its part of the record."""

    def __init__(self, trained: dict[str, Any]) -> None:
        super().__init__(f"given up after epoch {trained['epochs_trained']}")
        self.trained = trained


def train(
    config: Config,
    bundle: DataBundle,
    *,
    seed: int,
    device: torch.device,
    checkpoint: Path | None = None,
    kept: Path | None = None,
    watch: Watch | None = None,
) -> dict[str, Any]:
    """Train one cell and return its part of the record: scores, metrics, curve, cost.

    `config` is a resolved variant, `bundle` its data: on `device`, or anywhere where
    `train.loader_workers` is set. On a CPU the result is a
    function of these and the seed, bit for bit, whether or not it goes on from the file
    `checkpoint`, which is kept where `train.checkpoint` asks for that. What `train.keep` asks for
    goes to files that begin with `kept`. Raises DivergedError when
    a loss stops being finite, PrunedError when `watch` gives it up, NeedsCudaError where
    its numerics cannot be had on `device`.
    """
    minutes = config["train"]["checkpoint"]
    what = config["train"]["keep"]
    files = None if kept is None or not what else Keep(kept, tuple(what))
    with threads(config["train"]["threads"]), restored(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, "dropout"))
        if checkpoint is None or minutes is None:
            return _train(config, bundle, seed, device, None, files, watch)
        state = Checkpoint(checkpoint, minutes)
        try:
            result = _train(config, bundle, seed, device, state, files, watch)
        except PrunedError:
            state.remove()  # it is not gone on with
            raise
        state.remove()
        return result


def build_step(config: Config, bundle: DataBundle, *, seed: int, device: torch.device) -> TrainStep:
    """The model of a variant on `device`, ready to be stepped; `bundle` is its data.

    Flags of PyTorch are set for its numerics; `bench.numerics.restored` sets them back. Raises
    ValueError where `class_weights`, `freeze` or `lr_scale` fit neither model nor tasks,
    NeedsCudaError where its numerics cannot be had on `device`.
    """
    settings = config["train"]
    model = build_model(config["model"], bundle, seed=seed)
    check_in_memory(model)
    weighting, use = make(config["weighting"])
    # Arms of a timing have no diagnostics.
    keep_graph = use.space is not None or settings.get("diagnostics") is not None
    model = prepare(config["numerics"], model, device, keep_graph=keep_graph)
    freeze(model, settings["freeze"] or ())
    judged = objectives(bundle.tasks, config["model"].get("heads"))
    if settings["class_weights"] is not None:
        judged = weighted(judged, settings["class_weights"], bundle.train, device)
    state: dict[str, Tensor] = {}
    if weighting.needs != "jacobian":  # whose state depends on what meets in the first step
        state = weighting.init(len(judged), device=device, dtype=torch.float32)
    for name in weighting.learned:
        state[name] = nn.Parameter(state[name])
    learned = [
        {"params": [state[name]], "lr": weighting.learning_rate, "weight_decay": 0.0}
        for name in weighting.learned
    ]
    optimizer = build_optimizer(settings["optimizer"], model, learned, settings["lr_scale"])
    clip = unclipped
    if settings["clip_norm"] is not None:
        groups = [island.parameters for island in islands(model, tuple(judged))]
        clip = clipping(groups, settings["clip_norm"])
    around = around_forward(config["numerics"], device)
    scaler = scaler_of(config["numerics"], device)
    random = generator(seed, "weighting", device=device)
    descent = Descent(weighting, use, parameters=model.parameters(), generator=random)
    return TrainStep(model, judged, descent, state, optimizer, clip, around, scaler)


def islands(model: nn.Module, tasks: tuple[str, ...]) -> list[Island]:
    """Tasks that cannot influence each other, as the model says; else all are one island.

    Raises ValueError where the islands of a model of one's own are not these tasks, each once.
    """
    told = getattr(model, "islands", None)
    if told is None:
        return [Island(tasks, list(model.parameters()))]
    made = [Island(tuple(names), list(parameters)) for names, parameters in told()]
    there = [task for island in made for task in island.tasks]
    if sorted(there) != sorted(tasks):
        text = f"`islands` of '{type(model).__name__}' must hold each of {listed(tasks)} once"
        raise ValueError(f"{text}; found {listed(there)}")
    return made


def train_epoch(
    step: TrainStep, epoch: Iterable[Batch], schedule: LambdaLR, most: int | None = None
) -> Tensor:
    """Step through one epoch's batches, or the first `most` of them; the mean losses `[T]`.

    Nothing in it waits for the device.
    """
    # A scalar may lie on the host; the sum is where the losses are.
    total, steps = torch.zeros(()), 0
    for batch in islice(epoch, most):
        total = total + step(batch)
        schedule.step()
        steps += 1
    return total / steps


def evaluated(bundle: DataBundle) -> dict[str, Split]:
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


def _train(
    config: Config,
    bundle: DataBundle,
    seed: int,
    device: torch.device,
    checkpoint: Checkpoint | None,
    files: Keep | None,
    watch: Watch | None,
) -> dict[str, Any]:
    compiled = compile_counts()
    step = build_step(config, bundle, seed=seed, device=device)
    constants = {
        name: trivial(step.objectives, bundle, split) for name, split in evaluated(bundle).items()
    }
    _check_scores(step.objectives, constants)
    if "name" in config["model"]:
        space = step.descent.usage.space
        check_model(step.model, step.objectives, bundle, device, step.around, space)
    asked = conditions(config, bundle, seed)
    frozen = freeze_features(config, step.model, bundle, step.around, device)
    step.diary = Diary(tuple(step.objectives), config["train"]["diagnostics"])
    groups = islands(step.model, tuple(step.objectives))
    progress = Progress(selections=[Selection(island.tasks) for island in groups])
    order = generator(seed, "order")
    seen = frozen.bundle
    feed = feed_of(config["train"], seen.train, device, order)
    _fit(step, seen, feed, config["train"], order, constants["val"], progress, checkpoint, watch)
    if config["robustness"]["noise"]:  # which is for the inputs as they were
        frozen.restore()
        seen = bundle
    if files is not None:
        keep(files, step, groups, progress, seen.test, feed)
    return {
        **_report(step, seen, feed, progress, constants, asked),
        **_effort(step, bundle, config["train"]["batch_size"], progress),
        **({"features_s": frozen.seconds} if frozen.modalities else {}),
        **_fallbacks(step),
        **_compiled_since(compiled, config["numerics"]["compile"]),
    }


def _effort(
    step: TrainStep, bundle: DataBundle, batch_size: int, progress: Progress
) -> dict[str, Any]:
    """What was trained, how it went and how long it took."""
    _, size = epoch_shape(len(bundle.train), batch_size)
    return {
        "curve": progress.curve,
        "seconds": progress.seconds,
        "steps": progress.steps,
        "samples": progress.steps * size,
        "params": sum(parameter.numel() for parameter in step.model.parameters()),
    }


def _fallbacks(step: TrainStep) -> dict[str, int]:
    """How many steps the weighting had no answer for, where it counts them."""
    counted = step.state.get("fallbacks")
    return {} if counted is None else {"fallbacks": int(counted)}


def _compiled_since(before: Mapping[str, int], mode: str) -> dict[str, Any]:
    if mode == "off":
        return {}
    return {"compiled": {name: n - before[name] for name, n in compile_counts().items()}}


def _fit(
    step: TrainStep,
    bundle: DataBundle,
    feed: Feed,
    settings: Config,
    order: torch.Generator,
    constant: Measures,
    progress: Progress,
    checkpoint: Checkpoint | None,
    watch: Watch | None,
) -> None:
    """Train until epochs, `max_steps` or `patience` are at their end, or it is given up."""
    steps_per_epoch, _ = epoch_shape(len(bundle.train), settings["batch_size"])
    limit = settings["epochs"] * steps_per_epoch
    if settings["max_steps"] is not None:
        limit = min(limit, settings["max_steps"])
    schedule = build_schedule(
        settings["schedule"],
        step.optimizer,
        epochs=settings["epochs"],
        steps_per_epoch=steps_per_epoch,
        warmup=settings["warmup"],
    )
    state = TrainingState(step, schedule, order, progress)
    if checkpoint is not None:
        checkpoint.restore(state)
    started = time.perf_counter() - progress.seconds
    while progress.steps < limit and progress.open_tasks:
        most = min(steps_per_epoch, limit - progress.steps)
        batches = dropping(
            feed.epoch(), settings["modality_dropout"], order.initial_seed(), len(progress.curve)
        )
        losses = train_epoch(step, batches, schedule, most)
        step.state = step.weighting.epoch_end(step.state, losses)
        progress.steps += most
        measures = evaluate(step.model, step.objectives, bundle.val, step.around, feed.in_order)
        scores = _note_epoch(step, measures, losses, constant, progress)
        select(progress, step.model, len(progress.curve), scores, settings["patience"])
        progress.seconds = time.perf_counter() - started
        if checkpoint is not None:
            checkpoint.save_if_due(state)
        over = progress.steps >= limit or not progress.open_tasks
        if watch is not None and not over and watch(progress.curve):
            effort = _effort(step, bundle, settings["batch_size"], progress)
            raise PrunedError({"epochs_trained": len(progress.curve), **effort})


def _note_epoch(
    step: TrainStep, measures: Measures, losses: Tensor, constant: Measures, progress: Progress
) -> dict[str, float]:
    """Add the epoch that ended, with its measures on val, to the curve; its tasks' scores there."""
    epoch = len(progress.curve) + 1
    mean = dict(zip(step.objectives, losses.tolist(), strict=True))
    _check_finite(mean, progress.open_tasks, f"in epoch {epoch}")
    # The last step of an epoch shows only here what it did.
    after = {task: measured["loss"] for task, measured in measures.items()}
    _check_finite(after, progress.open_tasks, f"after epoch {epoch}")
    scores = task_scores(step.objectives, measures, constant)
    point = {"epoch": epoch, "loss": mean, "val": measures, "val_score": primary_score(scores)}
    told = {} if step.diary is None else step.diary.close_epoch()
    progress.curve.append(point | told)
    return scores


def _check_finite(losses: Mapping[str, float], tasks: set[str], when: str) -> None:
    # What happens to a task whose choice is final changes nothing: alone it had ended by now.
    if not all(math.isfinite(losses[task]) for task in tasks):
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
    feed: Feed,
    progress: Progress,
    constants: Mapping[str, Measures],
    asked: Sequence[Condition],
) -> dict[str, Any]:
    """Metrics and scores of both splits at the chosen epochs, and on test under what was asked."""
    chosen: dict[str, Measures] = {"val": {}, "test": {}}
    changed: dict[str, Measures] = {condition.name: {} for condition in asked}
    epochs: dict[str, int] = {}
    for epoch, weights in progress.weights.items():
        step.model.load_state_dict(weights)
        test = _on_test(step, bundle, feed.in_order)
        under = {c.name: _on_test(step, bundle, c.load(feed.in_order)) for c in asked}
        val: Measures = progress.curve[epoch - 1]["val"]
        for selection in progress.selections:
            if selection.epoch == epoch:
                for task in selection.tasks:
                    chosen["val"][task], chosen["test"][task] = val[task], test[task]
                    epochs[task] = epoch
                    for name, measures in under.items():
                        changed[name][task] = measures[task]
    report: dict[str, Any] = {"epochs": epochs, "scores": {}, "task_scores": {}}
    for split, of_tasks in chosen.items():
        report[split] = {task: of_tasks[task] for task in step.objectives}
        scores = task_scores(step.objectives, report[split], constants[split])
        report["scores"][split], report["task_scores"][split] = primary_score(scores), scores
    if asked:
        ordered = {name: {t: of[t] for t in step.objectives} for name, of in changed.items()}
        report["robustness"] = told(
            asked,
            ordered,
            report["scores"]["test"],
            step.objectives,
            constants["test"],
            [modality.name for modality in bundle.modalities],
        )
    return report


def _on_test(step: TrainStep, bundle: DataBundle, load: Load) -> Measures:
    return evaluate(step.model, step.objectives, bundle.test, step.around, load)
