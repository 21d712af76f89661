"""Training settings in one way of writing: those that train alike are equal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from mtmm.model import part_names
from mtmm.spec import Description

Config = dict[str, Any]


def canonical(train: Config, description: Description, *, own_model: bool) -> Config:
    """Resolved settings of training without what changes nothing for these modalities and tasks.

    Parts and tasks that are not there are left out, and factors of 1. A group of parts stands for
    all parts in it where they are treated alike, `balanced` for all tasks. The parts of a model of
    one's own are not known here: its `lr_scale` stays as it is.
    """
    if len(description.modalities) < 2 and train["modality_dropout"]:
        train = {**train, "modality_dropout": 0.0}  # the only one always stays
    frozen, scale = train["freeze"], train["lr_scale"]
    if frozen is None and scale is None and train["class_weights"] is None:
        return train
    if own_model:
        frozen = sorted(set(frozen or ()))
    else:
        names = part_names(description)
        still = _of_parts(dict.fromkeys(frozen or (), True), names)
        factors = _of_parts(scale or {}, names)
        moved = {k: f for k, f in factors.items() if k not in still and f != 1}
        frozen, scale = sorted(_grouped(still, names)), _grouped(moved, names)
    tasks = [task.name for task in description.tasks]
    return {
        **train,
        "class_weights": _of_tasks(train["class_weights"], tasks),
        "freeze": frozen or None,
        "lr_scale": scale or None,
    }


def _of_tasks(weights: Any, tasks: Sequence[str]) -> Any:
    if not isinstance(weights, dict):
        return weights
    there = {task: weights[task] for task in tasks if task in weights}
    return "balanced" if there == dict.fromkeys(tasks, "balanced") else there or None


def _of_parts(given: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """What is given for each part that is no group; of the names that reach it the longest wins."""
    reaching = {
        part: [name for name in given if _within(part, name)]
        for part in names
        if part not in _groups(names)
    }
    return {part: given[max(found, key=len)] for part, found in reaching.items() if found}


def _grouped(values: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """The same with a group in place of its parts where all of these have one value."""
    grouped = dict(values)
    for group, (first, *others) in _groups(names).items():
        if first in values and all(values.get(part) == values[first] for part in others):
            grouped[group] = values[first]
            for part in (first, *others):
                del grouped[part]
    return grouped


@lru_cache(maxsize=256)
def _groups(names: tuple[str, ...]) -> Mapping[str, Sequence[str]]:
    """The names that stand for others, each with these."""
    inside = {name: [n for n in names if n != name and _within(n, name)] for name in names}
    return {name: parts for name, parts in inside.items() if parts}


def _within(part: str, name: str) -> bool:
    return f"{part}.".startswith(f"{name}.")
