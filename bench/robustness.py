"""What a trained model scores on test with less, or worse, to go by."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import torch
from torch import Tensor

from bench.evaluation import Measures, primary_score, task_scores
from bench.missing import only, thinned
from mtmm.heads.base import Objective
from mtmm.seeding import generator
from mtmm.spec import Batch, DataBundle, Split

MOST_MODALITIES = 5
"""Up to so many every subset is evaluated; of more, those that lack one."""

_SAMPLES = 1024  # of the training split, from which the spread of a modality is taken

Load = Callable[[Split, int], Iterator[Batch]]
Change = Callable[[Batch, torch.Generator], Batch]


@dataclass(frozen=True, slots=True)
class Condition:
    """Something done to every batch of a split; `name` is that of its columns."""

    name: str
    change: Change
    seed: int
    subset: tuple[str, ...] | None = None
    """The modalities that are left, where it is about those."""

    def load(self, plain: Load) -> Load:
        """As `plain`, with every batch changed; from the same random numbers in every call."""

        def changed(split: Split, size: int) -> Iterator[Batch]:
            random: torch.Generator | None = None
            for batch in plain(split, size):
                random = random or generator(self.seed, self.name, device=batch.device)
                yield self.change(batch, random)

        return changed


def conditions(config: Mapping[str, Any], bundle: DataBundle, seed: int) -> list[Condition]:
    """What `robustness:` of a resolved variant asks for."""
    asked = config["robustness"]
    found = [
        Condition(f"only.{'+'.join(names)}", _only(names), seed, names)
        for names in subsets(asked["subsets"], config["modalities"])
    ]
    found += [
        Condition(f"missing.{_short(rate)}", _missing(rate), seed)
        for rate in asked["missing"] or ()
    ]
    if asked["noise"]:
        for name, spread in _spreads(bundle).items():
            found += [
                Condition(f"noise.{name}.{_short(sd)}", _noise(name, sd * spread), seed)
                for sd in asked["noise"]
            ]
    return found


def subsets(asked: object, modalities: Sequence[str]) -> list[tuple[str, ...]]:
    """The subsets to evaluate, all modalities together left out: that is the plain evaluation."""
    count = len(modalities)
    if isinstance(asked, list):
        return [tuple(names) for names in asked]
    if asked != "all":
        return []
    sizes = range(1, count) if count <= MOST_MODALITIES else [count - 1]
    return [names for size in sizes for names in combinations(modalities, size)]


def told(
    asked: Sequence[Condition],
    measures: Mapping[str, Measures],
    whole: float,
    objectives: Mapping[str, Objective],
    constant: Measures,
    modalities: Sequence[str],
) -> dict[str, Any]:
    """Score and metrics under each condition `asked`, and each modality's part in `whole`.

    `measures` are by a condition's name, `whole` is the score without any.

    `constant` are the measures of the constant prediction. The parts are Shapley values, where all
    subsets are among the conditions.
    """
    result: dict[str, Any] = {}
    for name, of_tasks in measures.items():
        score = primary_score(task_scores(objectives, of_tasks, constant))
        result[name] = {"score": score, "tasks": of_tasks}
    scores = {
        frozenset(condition.subset): result[condition.name]["score"]
        for condition in asked
        if condition.subset is not None
    }
    return {"conditions": result, "shapley": shapley(scores, whole, modalities)}


def shapley(
    scores: Mapping[frozenset[str], float], whole: float, modalities: Sequence[str]
) -> dict[str, float]:
    """Shapley value of each modality: its mean gain over all orders in which they could come.

    No modality counts 0, the score of the constant prediction; the values sum to `whole`. Empty
    where a subset has no score.
    """
    count = len(modalities)
    value = {**scores, frozenset(modalities): whole, frozenset(): 0.0}
    if len(value) < 2**count or count < 2:
        return {}
    parts = {}
    for name in modalities:
        others = [m for m in modalities if m != name]
        parts[name] = sum(
            (value[frozenset(chosen) | {name}] - value[frozenset(chosen)])
            / (count * math.comb(count - 1, size))
            for size in range(count)
            for chosen in combinations(others, size)
        )
    return parts


def _short(value: float) -> str:
    short = f"{value:g}"
    return short if float(short) == value else repr(value)


def _only(names: Sequence[str]) -> Change:
    return lambda batch, random: replace(batch, present=only(batch.present, names))


def _missing(rate: float) -> Change:
    return lambda batch, random: replace(batch, present=thinned(batch.present, rate, random))


def _noise(name: str, sd: float) -> Change:
    def change(batch: Batch, random: torch.Generator) -> Batch:
        x = batch.inputs[name]
        noise = torch.randn(x.shape, generator=random, device=x.device, dtype=x.dtype)
        return replace(batch, inputs={**batch.inputs, name: x + sd * noise})

    return change


def _spreads(bundle: DataBundle) -> dict[str, float]:
    """The standard deviation of each modality of real numbers, over all its numbers."""
    place = next(iter(bundle.train.labelled.values())).device
    few = bundle.train.take(torch.arange(min(_SAMPLES, len(bundle.train)), device=place))
    return {
        name: _spread(x[few.present[name]])
        for name, x in few.inputs.items()
        if x.is_floating_point()
    }


def _spread(x: Tensor) -> float:
    return float(x.double().std()) if x.numel() > 1 else 0.0
