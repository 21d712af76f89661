"""The parts of a variant that are resolved alike whatever its model is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from bench import settings
from bench.fitting import check_class_weights, unknown_names
from bench.optimization import OPTIMIZERS, SCHEDULES
from mtmm.blame import blame, speaks
from mtmm.registry import resolve, resolve_settings
from mtmm.settings import Component, Problem, found
from mtmm.spec import Description
from mtmm.weighting import WEIGHTINGS
from mtmm.weighting.making import make

Config = dict[str, Any]

TRAIN_PARTS: Mapping[str, tuple[Mapping[str, Component], str]] = {
    "optimizer": (OPTIMIZERS, "adamw"),
    "schedule": (SCHEDULES, "constant"),
}
"""The components of `train:`, each with its default."""


def mapping(raw: object, key: str, problems: list[Problem]) -> dict[str, Any]:
    """A section, which must be a mapping."""
    if isinstance(raw, dict):
        return raw
    problems.append(Problem((key,), f"must be a mapping; found {found(raw)}"))
    return {}


def _empty_or_twice(values: list[Any]) -> bool:
    # A subset is the same in any order.
    alike = [sorted(value) if isinstance(value, list) else value for value in values]
    twice = any(alike.count(value) > 1 for value in alike)
    inside = any(isinstance(value, list) and len(set(value)) < len(value) for value in values)
    return not values or [] in values or twice or inside


def resolve_robustness(
    raw: object, modalities: list[str], whole: Description, problems: list[Problem]
) -> Config:
    """`robustness:`: what is asked for, without what says nothing of these modalities."""
    path = ("robustness",)
    before = len(problems)
    given = mapping(raw, "robustness", problems)
    resolved = resolve_settings("robustness", settings.robustness, given, path, problems)
    problems += unknown_names(settings.robustness, resolved, path, whole)
    if len(problems) > before:
        return {}
    for key, values in resolved.items():
        if isinstance(values, list) and _empty_or_twice(values):
            text = f"`{key}` must name one or more, none of them empty and none twice"
            problems.append(Problem((*path, key), f"{text}; found {found(values)}"))
    if isinstance(resolved["subsets"], list):
        # In the order of the data; the whole is evaluated anyway, and what is not there cannot be.
        named = [[m for m in modalities if m in names] for names in resolved["subsets"]]
        there = [
            names
            for names, asked in zip(named, resolved["subsets"], strict=True)
            if len(names) == len(asked) < len(modalities)
        ]
        resolved["subsets"] = there or None
    if len(modalities) < 2:
        resolved |= {"subsets": None, "missing": None}
    return resolved


def resolve_weighting(raw: object, num_tasks: int, problems: list[Problem]) -> Config:
    """`weighting:` with how it is used; mistakes go to `problems`."""
    before = len(problems)
    weighting = resolve("weighting", WEIGHTINGS, raw, ("weighting",), problems)
    if len(problems) > before:
        return weighting
    name = weighting["name"]
    try:
        method, use = make(weighting)
        # Filled in first: a combination that is skipped is named after all of its settings.
        weighting = {**weighting, **asdict(use)}
        if num_tasks < method.fewest_tasks:
            text = f"'{name}' balances at least {method.fewest_tasks} tasks"
            raise ValueError(f"{text}; found {num_tasks} (use equal)")
        method.check(num_tasks)
    except Exception as error:
        owner = "" if speaks(error) else f"weighting '{name}': "
        text = f"{owner}{blame(error)}"
        problems.append(Problem(("weighting",), text, combination=speaks(error)))
    return weighting


def resolve_train(
    raw: object,
    whole: Description | None,
    parts: Sequence[str] | None,
    problems: list[Problem],
) -> Config:
    """`train:`; without `whole` names of the data, without `parts` those of parts go unchecked."""
    before = len(problems)
    given = mapping(raw, "train", problems)
    if len(problems) > before:
        return {}
    simple = {key: value for key, value in given.items() if key not in TRAIN_PARTS}
    resolved = resolve_settings("train", settings.train, simple, ("train",), problems)
    for kind, (registry, default) in TRAIN_PARTS.items():
        resolved[kind] = resolve(
            kind, registry, given.get(kind, default), ("train", kind), problems
        )
    if whole is not None and len(problems) == before:
        problems += unknown_names(settings.train, resolved, ("train",), whole, parts)
        check_class_weights(resolved["class_weights"], whole, problems)
    return resolved
