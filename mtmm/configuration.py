"""A `model:` configuration, checked against the data and filled in with every default."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Annotated, Any

from torch import nn

from mtmm.blame import blame, speaks
from mtmm.encoders import ENCODERS
from mtmm.fusion import FUSIONS
from mtmm.fusion.base import Fusion
from mtmm.fusion.tokens import TokenFusion
from mtmm.heads import HEADS
from mtmm.registry import resolve, resolve_settings, settings_in
from mtmm.settings import Path as ConfigPath
from mtmm.settings import Problem, Range, found, listed, nearest, settings_of
from mtmm.sharing import SHARINGS
from mtmm.spec import Description, Task

MODELS: dict[str, Callable[..., nn.Module]] = {}
"""Whole models by name, each made by `(bundle, **settings)`: users register theirs."""


_PARTS = ("encoders", "fusion", "heads", "sharing", "width")


def model_settings(
    *,
    fusion: str = "concat",
    sharing: str = "hard",
    width: Annotated[int, Range(low=1, high=65536)] = 64,
) -> None:
    """The settings of `model:` besides `encoders` and `heads`.

    `width` is that of a path's feature.
    """


def resolve_model(
    config: Mapping[str, Any],
    description: Description,
    path: ConfigPath,
    problems: list[Problem],
) -> dict[str, Any]:
    """The model configuration with every default filled in; mistakes go to `problems`.

    With `name` it is a whole model of `MODELS`, else one put together from parts.
    """
    if "name" in config:
        for task in description.tasks:
            if task.kind not in HEADS:
                problems.append(Problem(path, _no_head(task, HEADS)))
        return _resolve_whole(config, path, problems)
    for key in config:
        if key not in _PARTS:
            text = f"unknown key '{key}' of model{nearest(key, _PARTS)} (it has: {listed(_PARTS)})"
            problems.append(Problem((*path, key), text))
    width = {"width": config["width"]} if "width" in config else {}
    before = len(problems)
    resolved = {
        "encoders": _resolve_encoders(
            config.get("encoders", {}), description, (*path, "encoders"), problems
        ),
        "fusion": resolve(
            "fusion", FUSIONS, config.get("fusion", "concat"), (*path, "fusion"), problems
        ),
        "sharing": resolve(
            "sharing", SHARINGS, config.get("sharing", "hard"), (*path, "sharing"), problems
        ),
        "heads": _resolve_heads(config.get("heads", {}), description, (*path, "heads"), problems),
        "width": resolve_settings("model", model_settings, width, path, problems)["width"],
    }
    if len(description.modalities) == 1:
        # With one modality there is nothing to fuse, whatever the suite names.
        resolved["fusion"] = {"name": "none"}
    elif len(problems) == before:
        fusion = resolved["fusion"]
        try:
            FUSIONS[fusion["name"]].check(
                [modality.name for modality in description.modalities], settings_in(fusion)
            )
            _check_level(FUSIONS[fusion["name"]], resolved["encoders"], description)
        except Exception as error:
            text = f"fusion '{fusion['name']}': {blame(error)}"
            # A ValueError tells what does not fit together; anything else is a mistake of its code.
            problems.append(Problem((*path, "fusion"), text, combination=speaks(error)))
    if len(problems) == before:
        sharing = resolved["sharing"]["name"]
        fewest = SHARINGS[sharing].fewest_tasks
        if len(description.tasks) < fewest:
            text = f"'{sharing}' is for {fewest} or more tasks; found 1 (use hard)"
            problems.append(Problem((*path, "sharing"), text, combination=True))
    return resolved


def strangers(config: Mapping[str, Any], description: Description) -> Iterator[Problem]:
    """What a model configuration says of modalities and tasks that are not there.

    Places are inside it.
    """
    there = {
        "encoders": ("modality", [modality.name for modality in description.modalities]),
        "heads": ("task", [task.name for task in description.tasks]),
    }
    for key, (kind, names) in there.items():
        given = config.get(key)
        for name in given if isinstance(given, dict) else ():
            if name not in names:
                text = f"unknown {kind} '{name}'{nearest(name, names)} (there are: {listed(names)})"
                yield Problem((key, name), text)


def _check_level(
    fusion: type[Fusion], encoders: Mapping[str, Any], description: Description
) -> None:
    """ValueError where there is not what the fusion fuses."""
    if fusion.level == "decision":
        for task in description.tasks:
            if task.kind != "classification":
                text = f"fuses decisions of classifications; task '{task.name}' is of kind"
                raise ValueError(f"{text} '{task.kind}'")
    if issubclass(fusion, TokenFusion) and fusion.needs_tokens:
        for name, encoder in encoders.items():
            if not ENCODERS[encoder["name"]].has_tokens():
                text = f"needs tokens of every modality; encoder '{encoder['name']}' of '{name}'"
                raise ValueError(f"{text} has none")


def _resolve_whole(
    config: Mapping[str, Any], path: ConfigPath, problems: list[Problem]
) -> dict[str, Any]:
    name = config["name"]
    if isinstance(name, str) and name not in MODELS:
        text = f"unknown model '{name}'{nearest(name, MODELS)} (there are: {listed(MODELS)})"
        problems.append(Problem((*path, "name"), f"{text}; --plugin FILE brings your own"))
        return {}
    if not isinstance(name, str):
        return resolve("model", MODELS, {"name": name}, path, problems)
    declared = settings_of(MODELS[name])
    strange = [key for key in _PARTS if key in config and key not in declared]
    for key in strange:
        text = f"'{key}' is for models put together from parts; model '{name}' is whole"
        problems.append(Problem((*path, key), text))
    value = {key: item for key, item in config.items() if key not in strange}
    return resolve("model", MODELS, value, path, problems)


def _resolve_encoders(
    config: object, description: Description, path: ConfigPath, problems: list[Problem]
) -> dict[str, Any]:
    if not isinstance(config, dict):
        text = f"must map modalities to encoders; found {found(config)}"
        problems.append(Problem(path, text))
        return {}
    resolved = {}
    for modality in description.modalities:
        fitting = [name for name, encoder in ENCODERS.items() if modality.kind in encoder.kinds]
        if modality.name not in config and modality.kind == "vector":
            resolved[modality.name] = {"name": "identity"}
            continue
        if modality.name not in config:
            text = f"no encoder for modality '{modality.name}' (choose from: {listed(fitting)})"
            problems.append(Problem(path, text))
            continue
        place = (*path, modality.name)
        encoder = resolve("encoder", ENCODERS, config[modality.name], place, problems)
        if encoder and encoder["name"] not in fitting:
            text = (
                f"encoder '{encoder['name']}' does not read {modality.kind} "
                f"(those that do: {listed(fitting)})"
            )
            problems.append(Problem(place, text))
        resolved[modality.name] = encoder
    return resolved


def _resolve_heads(
    config: object, description: Description, path: ConfigPath, problems: list[Problem]
) -> dict[str, Any]:
    if not isinstance(config, dict):
        problems.append(Problem(path, f"must map tasks to heads; found {found(config)}"))
        return {}
    resolved = {}
    for task in description.tasks:
        fitting = [name for name, head in HEADS.items() if task.kind in (name, *head.kinds)]
        if task.name not in config and task.kind not in HEADS:
            problems.append(Problem(path[:-1], _no_head(task, fitting or HEADS)))
            continue
        place = (*path, task.name)
        head = resolve("head", HEADS, config.get(task.name, task.kind), place, problems)
        if head and head["name"] not in fitting:
            text = f"head '{head['name']}' does not serve tasks of kind '{task.kind}'"
            problems.append(Problem(place, f"{text} (those that do: {listed(fitting)})"))
        resolved[task.name] = head
    return resolved


def _no_head(task: Task, there: Iterable[str]) -> str:
    return f"no head for task '{task.name}' of kind '{task.kind}' (there are: {listed(there)})"
