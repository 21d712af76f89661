"""What a loop of one's own tells of a run, checked: numbers, meanings of metrics, scores."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from bench.errors import InputError
from mtmm.heads import HEADS
from mtmm.heads.base import Metric
from mtmm.settings import found, listed

Measures = Mapping[str, Mapping[str, float]]
"""Metrics by task and name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Metrics on test and val as plain numbers, what they mean, and where tasks begin.

    `trivial` has the primary metric of every task, its first, for a constant prediction.
    """

    test: dict[str, dict[str, float]]
    val: dict[str, dict[str, float]]
    meanings: dict[str, Metric]
    trivial: dict[str, float]

    @property
    def primary(self) -> dict[str, str]:
        """The primary metric of every task."""
        return {task: next(iter(of_task)) for task, of_task in self.test.items()}

    @property
    def scores(self) -> dict[str, float]:
        """Where each task's primary metric lies between the trivial value and the ideal."""
        made = {}
        for task, name in self.primary.items():
            ideal, worst = self.meanings[name].ideal, self.trivial[task]
            made[task] = (self.test[task][name] - worst) / (ideal - worst)
        return made


def told(metrics: Any, val: Any, trivial: Any, meanings: Any) -> Told:
    """All that was told of a run; InputError where something will not do."""
    own = _own_meanings(meanings)
    test = _measures("metrics", metrics)
    if not test or not all(test.values()):
        raise InputError("`metrics` must be {task: {metric: value}} with a task and a metric")
    known = {}
    for task, name, value in _values(test):
        known[name] = _meaning(task, name, own)
        _check_range("metrics", task, name, value, known[name])
    further = _measures("val", val)
    for task, name, value in _values(further):
        _check_range("val", task, name, value, known.get(name) or _meaning(task, name, own))
    return Told(test=test, val=further, meanings=known, trivial=_trivial(test, known, trivial))


def plain(config: Any) -> dict[str, Any]:
    """Settings as JSON can hold them; numbers of NumPy and PyTorch become Python's."""
    if not isinstance(config, Mapping):
        raise InputError(f"`config` must be a mapping of settings; found {found(config)}")
    try:
        made: dict[str, Any] = json.loads(json.dumps(dict(config), default=_item))
    except (TypeError, ValueError) as error:
        text = "`config` must hold numbers, words, lists and mappings"
        raise InputError(f"{text}: {error}") from None
    return made


def number(name: str, value: Any) -> float:
    """A finite number, Python's, NumPy's or of one element of PyTorch; else InputError."""
    given = value
    if isinstance(value, np.generic | np.ndarray | torch.Tensor) and len(np.shape(value)) == 0:
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InputError(f"{name} must be a finite number; found {found(given)}")
    return value


def whole(name: str, value: Any) -> int:
    """A whole number at least 0; else InputError."""
    made = number(name, value)
    if made != int(made) or made < 0:
        raise InputError(f"{name} must be a whole number at least 0; found {found(value)}")
    return int(made)


def _item(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"found a {type(value).__name__}")


def _own_meanings(meanings: Any) -> Mapping[str, Metric]:
    if not isinstance(meanings, Mapping) or not all(
        isinstance(m, Metric) for m in meanings.values()
    ):
        text = "`meanings` must be {metric: Metric(higher_is_better=..., ideal=...)}"
        raise InputError(f"{text}, of mtmm.heads.base; found {found(meanings)}")
    return meanings


def _measures(owner: str, measures: Any) -> dict[str, dict[str, float]]:
    of_tasks = measures.values() if isinstance(measures, Mapping) else [None]
    if not all(isinstance(of_task, Mapping) for of_task in of_tasks):
        raise InputError(f"`{owner}` must be {{task: {{metric: value}}}}; found {found(measures)}")
    return {
        str(task): {
            str(name): number(f"`{owner}`: metric '{name}' of task '{task}'", value)
            for name, value in of_task.items()
        }
        for task, of_task in measures.items()
    }


def _values(measures: Measures) -> Iterator[tuple[str, str, float]]:
    for task, of_task in measures.items():
        for name, value in of_task.items():
            yield task, name, value


def _meaning(task: str, name: str, own: Mapping[str, Metric]) -> Metric:
    built_in = {n: m for head in HEADS.values() for n, m in head.objective.metrics.items()}
    if name in built_in and name in own and own[name] != built_in[name]:
        text = f"`meanings` must leave '{name}' as it is, which comes with mtmm"
        raise InputError(f"{text}: {built_in[name]}; give yours another name")
    if name not in own and name not in built_in:
        text = f"`meanings` must say what metric '{name}' of task '{task}' means"
        raise InputError(f"{text}: {{'{name}': Metric(higher_is_better=..., ideal=...)}}")
    return own.get(name) or built_in[name]


def _check_range(owner: str, task: str, name: str, value: float, meaning: Metric) -> None:
    beyond = value > meaning.ideal if meaning.higher_is_better else value < meaning.ideal
    if beyond:
        text = (
            f"`{owner}`: metric '{name}' of task '{task}' cannot be better than {meaning.ideal:g}"
        )
        hint = " (a share, not a percentage)" if meaning.ideal == 1 else ""
        raise InputError(f"{text}{hint}; found {value:g}")


def _trivial(test: Measures, known: Mapping[str, Metric], trivial: Any) -> dict[str, float]:
    if not isinstance(trivial, Mapping):
        raise InputError(f"`trivial` must be {{task: number}}; found {found(trivial)}")
    strange = [task for task in trivial if task not in test]
    if strange:
        text = f"`trivial` must name tasks of `metrics` ({listed(test)})"
        raise InputError(f"{text}; found {listed(map(str, strange))}")
    made = {}
    for task, of_task in test.items():
        name = next(iter(of_task))
        meaning = known[name]
        if task not in trivial and not meaning.higher_is_better:
            text = f"`trivial` must give '{name}' of task '{task}' for a constant prediction"
            raise InputError(f"{text}: of a metric of which less is better 0 is the best")
        worst = number(f"`trivial` of task '{task}'", trivial.get(task, 0.0))
        if worst == meaning.ideal:
            text = f"`trivial` of task '{task}' is {worst:g}, the ideal of '{name}'"
            raise InputError(f"{text}: no score can lie between")
        made[task] = float(worst)
    return made
