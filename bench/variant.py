"""From the raw settings of one variant to its fully resolved configuration."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Any

from bench.optimization import OPTIMIZERS, SCHEDULES
from mtmm.data import DATASETS
from mtmm.model import resolve_model
from mtmm.registry import resolve, resolve_settings, settings_in
from mtmm.settings import Problem, Range, found, listed, nearest
from mtmm.sharing import SHARINGS
from mtmm.spec import Description
from mtmm.weighting import WEIGHTINGS

KEYS = ("dataset", "modalities", "tasks", "model", "weighting", "train")
"""The parts of a variant: what a suite's base may hold and a sweep may vary."""

Positive = Annotated[int, Range(low=1)]


def train_settings(
    *, epochs: Positive = 5, batch_size: Positive = 128, threads: Positive = 1
) -> None:
    """The settings of `train:` besides `optimizer` and `schedule`; `threads` are CPU threads."""


def resolve_variant(raw: Mapping[str, Any], problems: list[Problem]) -> dict[str, Any]:
    """The configuration with every default filled in; mistakes go to `problems`."""
    before = len(problems)
    dataset = resolve("dataset", DATASETS, raw.get("dataset"), ("dataset",), problems)
    whole = None if len(problems) > before else _describe(dataset, problems)
    train = _resolve_train(raw, problems)
    if whole is None:
        return {}
    modalities = _subset(raw, "modalities", [m.name for m in whole.modalities], problems)
    tasks = _subset(raw, "tasks", [t.name for t in whole.tasks], problems)
    description = whole.select(modalities, tasks)
    config = {
        "dataset": dataset,
        "modalities": modalities,
        "tasks": tasks,
        "model": _resolve_model(raw, description, whole, problems),
        "weighting": _resolve_weighting(raw.get("weighting", "equal"), len(tasks), problems),
        "train": train,
    }
    if len(problems) == before:
        _check_together(config, problems)
    return config


def _check_together(config: Mapping[str, Any], problems: list[Problem]) -> None:
    sharing, weighting = config["model"]["sharing"]["name"], config["weighting"]["name"]
    if SHARINGS[sharing].independent and weighting != "equal":
        text = (
            f"'{weighting}' has nothing to balance in '{sharing}', where no task meets another: "
            "it would only change each task's rate (use equal)"
        )
        problems.append(Problem(("weighting",), text, combination=True))


def description_of(config: Mapping[str, Any]) -> Description:
    """What a resolved variant's data will be."""
    whole = _describe(config["dataset"], [])
    assert whole is not None
    return whole.select(config["modalities"], config["tasks"])


def _describe(dataset: Mapping[str, Any], problems: list[Problem]) -> Description | None:
    try:
        return _described(json.dumps(dataset, sort_keys=True))
    except ValueError as error:
        problems.append(Problem(("dataset",), str(error)))
        return None


@lru_cache(maxsize=256)
def _described(dataset: str) -> Description:
    config = json.loads(dataset)
    return DATASETS[config["name"]].describe(**settings_in(config))


def _subset(
    raw: Mapping[str, Any], key: str, names: list[str], problems: list[Problem]
) -> list[str]:
    chosen = raw.get(key)
    if chosen is None:
        return names
    if not isinstance(chosen, list) or not chosen:
        text = f"must be a list of one or more of: {listed(names)}; found {found(chosen)}"
        problems.append(Problem((key,), text))
        return names
    before = len(problems)
    for i, name in enumerate(chosen):
        if name not in names:
            kind = "modality" if key == "modalities" else "task"
            text = f"unknown {kind} {name!r}{nearest(name, names)} (there are: {listed(names)})"
            problems.append(Problem((key, i), text))
        elif name in chosen[:i]:
            problems.append(Problem((key, i), f"'{name}' is in this list twice"))
    if len(problems) > before:
        return names
    # The data set's order, so that equal subsets are equal configurations.
    return [name for name in names if name in chosen]


def _mapping(raw: Mapping[str, Any], key: str, problems: list[Problem]) -> dict[str, Any] | None:
    value = raw.get(key, {})
    if isinstance(value, dict):
        return value
    problems.append(Problem((key,), f"must be a mapping; found {found(value)}"))
    return None


def _resolve_model(
    raw: Mapping[str, Any], description: Description, whole: Description, problems: list[Problem]
) -> dict[str, Any]:
    model = _mapping(raw, "model", problems)
    if model is None:
        return {}
    _check_encoder_names(model.get("encoders"), whole, problems)
    return resolve_model(model, description, ("model",), problems)


def _check_encoder_names(encoders: object, whole: Description, problems: list[Problem]) -> None:
    names = [modality.name for modality in whole.modalities]
    for name in encoders if isinstance(encoders, dict) else ():
        if name not in names:
            text = f"unknown modality '{name}'{nearest(name, names)} (there are: {listed(names)})"
            problems.append(Problem(("model", "encoders", name), text))


def _resolve_weighting(raw: object, num_tasks: int, problems: list[Problem]) -> dict[str, Any]:
    before = len(problems)
    weighting = resolve("weighting", WEIGHTINGS, raw, ("weighting",), problems)
    if len(problems) == before:
        try:
            WEIGHTINGS[weighting["name"]](**settings_in(weighting)).check(num_tasks)
        except ValueError as error:
            problems.append(Problem(("weighting",), str(error), combination=True))
    return weighting


def _resolve_train(raw: Mapping[str, Any], problems: list[Problem]) -> dict[str, Any]:
    settings = _mapping(raw, "train", problems)
    if settings is None:
        return {}
    parts = {"optimizer": (OPTIMIZERS, "adamw"), "schedule": (SCHEDULES, "constant")}
    simple = {key: value for key, value in settings.items() if key not in parts}
    resolved = resolve_settings("train", train_settings, simple, ("train",), problems)
    for kind, (registry, default) in parts.items():
        resolved[kind] = resolve(
            kind, registry, settings.get(kind, default), ("train", kind), problems
        )
    return resolved
