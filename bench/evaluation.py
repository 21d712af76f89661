"""Metrics over a split and the primary score."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext

import torch
from torch import Tensor, nn

from bench.loading import in_order
from bench.numerics import Around, full
from mtmm.heads.base import Objective, Sums
from mtmm.spec import Batch, DataBundle, Split

Measures = dict[str, dict[str, float]]
Load = Callable[[Split, int], Iterator[Batch]]

_BATCH = 512  # samples of a forward pass; metrics come from sums and do not depend on it


@torch.inference_mode()
def evaluate(
    model: nn.Module,
    objectives: Mapping[str, Objective],
    split: Split,
    around: Around = nullcontext,
    load: Load = in_order,
) -> Measures:
    """Every metric of every task over a split: `{task: {metric: value}}`.

    Forward passes are put into `around`; metrics are computed in 32 bits or more. `load` yields the
    split's batches, of so many samples, on the model's device.
    """
    sums: dict[str, Sums] = {}
    for batch, outputs in _outputs(model, split, around, load):
        sums = sums or {task: o.sums(batch.device) for task, o in objectives.items()}
        for task, objective in objectives.items():
            sums[task] = objective.update(
                sums[task], full(outputs[task]), batch.targets[task], batch.labelled[task]
            )
    return {task: objective.measure(sums[task]) for task, objective in objectives.items()}


@torch.inference_mode()
def predictions(
    model: nn.Module,
    objectives: Mapping[str, Objective],
    split: Split,
    around: Around = nullcontext,
    load: Load = in_order,
) -> dict[str, Tensor]:
    """Every task's output for every sample of a split, `[N, ...]`, on the CPU; see `evaluate`."""
    said: dict[str, list[Tensor]] = {task: [] for task in objectives}
    for _, outputs in _outputs(model, split, around, load):
        for task, parts in said.items():
            parts.append(full(outputs[task]).cpu())
    return {task: torch.cat(parts) for task, parts in said.items()}


def _outputs(
    model: nn.Module, split: Split, around: Around, load: Load
) -> Iterator[tuple[Batch, Mapping[str, Tensor]]]:
    """Every batch of a split with what the model, in evaluation mode, makes of it."""
    model.eval()
    for batch in load(split, _BATCH):
        with around():
            outputs = model(batch.inputs, batch.present).outputs
        yield batch, outputs
    model.train()


def trivial(objectives: Mapping[str, Objective], bundle: DataBundle, split: Split) -> Measures:
    """The metrics on `split` of the constant prediction fitted on the training labels."""
    measures = {}
    for task, objective in objectives.items():
        labels, known = bundle.train.targets[task], bundle.train.labelled[task]
        constant = objective.constant(labels, known)
        output = constant.expand(len(split), *constant.shape)
        sums = objective.sums(output.device)
        sums = objective.update(sums, output, split.targets[task], split.labelled[task])
        measures[task] = objective.measure(sums)
    return measures


def task_scores(
    objectives: Mapping[str, Objective], measures: Measures, constant: Measures
) -> dict[str, float]:
    """Per task (m − trivial) / (ideal − trivial) of its primary metric: 0 trivial, 1 ideal.

    NaN where the constant prediction is ideal already.
    """
    scores = {}
    for task, objective in objectives.items():
        name = objective.primary
        ideal, base = objective.metrics[name].ideal, constant[task][name]
        room = ideal - base
        scores[task] = (measures[task][name] - base) / room if room else float("nan")
    return scores


def primary_score(scores: Mapping[str, float]) -> float:
    """The mean over tasks."""
    return sum(scores.values()) / len(scores)
