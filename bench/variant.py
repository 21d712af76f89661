"""From the raw settings of one variant to its fully resolved configuration."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from bench import settings
from bench.canonical import canonical
from bench.fitting import (
    check_numerics,
    check_parts,
    check_sizes,
    check_together,
    check_training,
    unknown,
)
from bench.resolving import (
    TRAIN_PARTS,
    mapping,
    resolve_robustness,
    resolve_train,
    resolve_weighting,
)
from mtmm.blame import blame, speaks
from mtmm.configuration import model_settings, resolve_model, strangers
from mtmm.consistency import no_description
from mtmm.data import DATASETS
from mtmm.data.base import Dataset
from mtmm.model import part_names
from mtmm.registry import resolve, resolve_settings, settings_in
from mtmm.settings import (
    Problem,
    found,
    listed,
    settings_of,
)
from mtmm.sizes import fused_values, memory_mib, model_size
from mtmm.spec import Description

KEYS = (
    "dataset",
    "modalities",
    "tasks",
    "model",
    "weighting",
    "train",
    "numerics",
    "robustness",
)
"""The parts of a variant: what a suite's base may hold and a sweep may vary."""

WEIGHTING = "equal"
"""The default weighting."""

Config = dict[str, Any]
Resolved = tuple[Config, tuple[Problem, ...]]


def with_defaults(raw: Mapping[str, Any]) -> dict[str, Any]:
    """The settings with every component named that has a default: its settings can be set then."""
    model, train = raw.get("model", {}), raw.get("train", {})
    filled = {"weighting": WEIGHTING, **raw}
    if isinstance(train, dict):
        parts = {key: default for key, (_, default) in TRAIN_PARTS.items()}
        filled["train"] = {**parts, **train}
    if isinstance(model, dict) and "name" not in model:
        defaults = settings_of(model_settings)
        named = {key: defaults[key].default for key in ("fusion", "sharing")}
        filled["model"] = {**named, **model}
    return filled


class Resolver:
    """Resolves variants; parts that were resolved before, alike in many variants, are looked up."""

    def __init__(self) -> None:
        self._known: dict[tuple[Any, ...], Resolved] = {}
        self._texts: dict[int, tuple[object, str]] = {}
        self._described: dict[int, tuple[Description | None, tuple[Problem, ...]]] = {}
        self._sizes: dict[int, int | None] = {}

    def resolve(self, raw: Mapping[str, Any], problems: list[Problem]) -> Config:
        """The configuration with every default filled in; mistakes go to `problems`.

        Configurations share their parts: none of them may be changed.
        """
        before = len(problems)
        dataset = self._dataset(raw.get("dataset"), problems)
        whole = None if len(problems) > before else self._describe(dataset, problems)
        if whole is None:
            self._train(raw.get("train", {}), None, (), problems)
            return {}
        modalities = _subset(raw, "modalities", [m.name for m in whole.modalities], problems)
        tasks = _subset(raw, "tasks", [t.name for t in whole.tasks], problems)
        description = whole.select(modalities, tasks)
        model = self._model(raw.get("model", {}), description, whole, problems)
        # The parts of a model of one's own are known once it is built.
        parts = None if "name" in model else part_names(whole)
        config: Config = {
            "dataset": dataset,
            "modalities": modalities,
            "tasks": tasks,
            "model": model,
            "weighting": self._weighting(raw.get("weighting", WEIGHTING), len(tasks), problems),
            "train": self._train(raw.get("train", {}), whole, parts, problems),
            "numerics": self._numerics(raw.get("numerics", {}), problems),
            "robustness": self._robustness(raw.get("robustness", {}), modalities, whole, problems),
        }
        if len(problems) == before:
            config["train"] = canonical(config["train"], description, own_model=parts is None)
            check_together(config, description, problems)
            check_numerics(config, problems)
            check_training(config, description, problems)
        return config

    def parameters(self, config: Config) -> int | None:
        """The number of parameters of a variant resolved here, at most.

        None for a model of one's own, which is known once it is built.
        """
        model = config["model"]
        if "name" in model:
            return None
        # Alike models are the same object, and stay as long as this resolver does.
        if id(model) not in self._sizes:
            self._sizes[id(model)] = model_size(model, description_of(config))
        return self._sizes[id(model)]

    def memory_mib(self, config: Config, batch_size: int) -> int | None:
        """About what a step of a variant resolved here takes at a batch size; None as above."""
        count = self.parameters(config)
        if count is None:
            return None
        values = fused_values(config["model"], description_of(config))
        return memory_mib(count, values, batch_size)

    def _text(self, raw: object) -> str:
        """The value as text; that of a part which many variants share is made once."""
        held = self._texts.get(id(raw))
        if held is None or held[0] is not raw:
            held = self._texts[id(raw)] = (raw, _text(raw))
        return held[1]

    def _look_up(
        self,
        key: tuple[Any, ...],
        problems: list[Problem],
        make: Callable[[list[Problem]], Config],
    ) -> Config:
        known = self._known.get(key)
        if known is None:
            met: list[Problem] = []
            value = make(met)
            known = self._known[key] = (value, tuple(met))
        problems += known[1]
        return known[0]

    def _dataset(self, raw: object, problems: list[Problem]) -> Config:
        def make(met: list[Problem]) -> Config:
            return resolve("dataset", DATASETS, raw, ("dataset",), met)

        return self._look_up(("dataset", self._text(raw)), problems, make)

    def _describe(self, dataset: Config, problems: list[Problem]) -> Description | None:
        # Alike data sets are the same object here.
        known = self._described.get(id(dataset))
        if known is None:
            met: list[Problem] = []
            known = self._described[id(dataset)] = (describe(dataset, met), tuple(met))
        problems += known[1]
        return known[0]

    def _model(
        self, raw: object, description: Description, whole: Description, problems: list[Problem]
    ) -> Config:
        def make(met: list[Problem]) -> Config:
            return _resolve_model(raw, description, whole, met)

        key = ("model", self._text(raw), whole.fingerprint, _names(description))
        return self._look_up(key, problems, make)

    def _weighting(self, raw: object, num_tasks: int, problems: list[Problem]) -> Config:
        def make(met: list[Problem]) -> Config:
            return resolve_weighting(raw, num_tasks, met)

        return self._look_up(("weighting", self._text(raw), num_tasks), problems, make)

    def _train(
        self,
        raw: object,
        whole: Description | None,
        parts: Sequence[str] | None,
        problems: list[Problem],
    ) -> Config:
        def make(met: list[Problem]) -> Config:
            return resolve_train(raw, whole, parts, met)

        key = ("train", self._text(raw), whole and (whole.fingerprint, _names(whole)), parts)
        return self._look_up(key, problems, make)

    def _numerics(self, raw: object, problems: list[Problem]) -> Config:
        def make(met: list[Problem]) -> Config:
            given = mapping(raw, "numerics", met)
            return resolve_settings("numerics", settings.numerics, given, ("numerics",), met)

        return self._look_up(("numerics", self._text(raw)), problems, make)

    def _robustness(
        self, raw: object, modalities: list[str], whole: Description, problems: list[Problem]
    ) -> Config:
        def make(met: list[Problem]) -> Config:
            return resolve_robustness(raw, modalities, whole, met)

        key = ("robustness", self._text(raw), tuple(modalities), whole.fingerprint)
        return self._look_up(key, problems, make)


def resolve_variant(raw: Mapping[str, Any], problems: list[Problem]) -> Config:
    """The configuration of one variant alone; see `Resolver.resolve`."""
    return Resolver().resolve(raw, problems)


def description_of(config: Mapping[str, Any]) -> Description:
    """What a resolved variant's data will be."""
    dataset = config["dataset"]
    names = tuple(config["modalities"]), tuple(config["tasks"])
    return _selected(DATASETS[dataset["name"]], _text(dataset), *names)


def describe(dataset: Mapping[str, Any], problems: list[Problem]) -> Description | None:
    """What a resolved data set will be; what is wrong with it goes to `problems`."""
    try:
        described = _described(DATASETS[dataset["name"]], _text(dataset))
        wrong = no_description(described)
    except Exception as error:
        owner = "" if speaks(error) else f"dataset '{dataset['name']}': "
        problems.append(Problem(("dataset",), f"{owner}{blame(error)}"))
        return None
    if wrong is not None:
        problems.append(Problem(("dataset",), f"dataset '{dataset['name']}': {wrong}"))
        return None
    return described


def forget_data() -> None:
    """Ask data sets anew from now on: a file or a cell of a notebook may have changed since."""
    _described.cache_clear()
    _selected.cache_clear()


@lru_cache(maxsize=256)
def _selected(
    dataset: Dataset, config: str, modalities: tuple[str, ...], tasks: tuple[str, ...]
) -> Description:
    return _described(dataset, config).select(modalities, tasks)


@lru_cache(maxsize=256)
def _described(dataset: Dataset, config: str) -> Description:
    return dataset.describe(**settings_in(json.loads(config)))


def _text(raw: object) -> str:
    return json.dumps(raw, sort_keys=True)


def _names(description: Description) -> tuple[str, ...]:
    modalities = (modality.name for modality in description.modalities)
    return (*modalities, *(task.name for task in description.tasks))


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
            problems.append(Problem((key, i), unknown(kind, name, names)))
        elif name in chosen[:i]:
            problems.append(Problem((key, i), f"'{name}' is in this list twice"))
    if len(problems) > before:
        return names
    # The data set's order, so that equal subsets are equal configurations.
    return [name for name in names if name in chosen]


def _resolve_model(
    raw: object, description: Description, whole: Description, problems: list[Problem]
) -> Config:
    before = len(problems)
    if isinstance(raw, str):
        text = f"must be a mapping; found {found(raw)} (a whole model is {{name: {raw}}})"
        problems.append(Problem(("model",), text))
        return {}
    model = mapping(raw, "model", problems)
    if len(problems) > before:
        return {}
    resolved = resolve_model(model, description, ("model",), problems)
    if "name" in model:
        return resolved
    problems += [replace(one, path=("model", *one.path)) for one in strangers(model, whole)]
    check_parts(resolved, whole, problems)
    if len(problems) == before:
        check_sizes(resolved, description, problems)
    return resolved
