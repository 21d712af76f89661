"""Whether the parts of a variant fit its data and each other; each was right on its own.

Mistakes go to `problems`; what has no meaning together is marked as a combination.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from mtmm.encoders import ENCODERS
from mtmm.fusion import FUSIONS
from mtmm.heads import HEADS
from mtmm.heads.base import Objective
from mtmm.registry import settings_in
from mtmm.settings import (
    Component,
    Path,
    Problem,
    found,
    listed,
    names_in,
    nearest,
    settings_of,
)
from mtmm.sharing import SHARINGS
from mtmm.sizes import misfits, shares_parameters
from mtmm.spec import Description, Task

Config = dict[str, Any]


def unknown(kind: str, name: object, names: Iterable[str]) -> str:
    """The message for a name that is none of `names`."""
    names = list(names)
    if not isinstance(name, str):
        return f"must be the name of a {kind}: {listed(names)}; found {found(name)}"
    return f"unknown {kind} '{name}'{nearest(name, names)} (there are: {listed(names)})"


def check_parts(model: Mapping[str, Any], whole: Description, problems: list[Problem]) -> None:
    """Names of modalities and tasks in the settings of a model's components."""
    parts: list[tuple[Mapping[str, Component], Any, Path]] = [
        (FUSIONS, model["fusion"], ("model", "fusion")),
        (SHARINGS, model["sharing"], ("model", "sharing")),
    ]
    for modality, encoder in model["encoders"].items():
        parts.append((ENCODERS, encoder, ("model", "encoders", modality)))
    for task, head in model["heads"].items():
        parts.append((HEADS, head, ("model", "heads", task)))
    for registry, config, path in parts:
        if config:
            strange = unknown_names(registry[config["name"]], config, path, whole)
            if strange:
                # A name that is nowhere in the data is a mistake, not a matter of combination.
                problems[:] = [p for p in problems if not (p.combination and p.path == path)]
                problems += strange


def unknown_names(
    component: Component,
    config: Mapping[str, Any],
    path: Path,
    whole: Description,
    parts: Sequence[str] | None = None,
) -> list[Problem]:
    """The words in a component's settings that name nothing of the data or, if given, `parts`."""
    there: dict[str, Sequence[str]] = {
        "modality": [modality.name for modality in whole.modalities],
        "task": [task.name for task in whole.tasks],
    }
    if parts is not None:
        there["part"] = parts
    return [
        Problem((*path, setting.name, *place), unknown(kind, name, there[kind]))
        for setting in settings_of(component).values()
        for kind, place, name in names_in(setting.annotation, config.get(setting.name))
        if kind in there and name not in there[kind]
    ]


def check_sizes(
    model: Mapping[str, Any], description: Description, problems: list[Problem]
) -> None:
    """Whether the parts can be made for their inputs."""
    for wrong in misfits(model, description):
        problems.append(replace(wrong, path=("model", *wrong.path)))


def check_class_weights(given: object, whole: Description, problems: list[Problem]) -> None:
    """Whether the tasks named have classes, and there is a weight for each, not all of them 0."""
    for task in whole.tasks:
        if isinstance(given, dict) and task.name in given:
            wrong = _wrong_weights(given[task.name], task)
            if wrong is not None:
                problems.append(Problem(("train", "class_weights", task.name), wrong))


def _wrong_weights(weights: object, task: Task) -> str | None:
    if not _has_classes(task):
        return f"must name tasks with classes; '{task.name}' is of kind '{task.kind}', without"
    if isinstance(weights, list):
        if len(weights) != task.classes:
            text = f"needs one weight for each of the {task.classes} classes"
            return f"{text}; found {len(weights)}"
        if not any(weights):
            return "needs at least one weight above 0; all are 0"
    return None


def _has_classes(task: Task) -> bool:
    head = HEADS.get(task.kind)
    # A kind may count classes and yet have a loss that weighs none.
    weighed = head is None or head.objective.weighted is not Objective.weighted
    return task.classes > 0 and weighed


def check_training(
    config: Mapping[str, Any], description: Description, problems: list[Problem]
) -> None:
    """Whether the settings of training fit each other and leave something to train."""
    train = config["train"]
    optimizer, epochs, warmup = train["optimizer"], train["epochs"], train["warmup"]
    told: dict[str, str] = {}
    if optimizer.get("nesterov") and not optimizer["momentum"]:
        told["optimizer"] = "`nesterov` needs a `momentum` above 0; found 0"
    if warmup > epochs:
        text = f"`warmup` must be at most `epochs`, {epochs}, for the rate to be reached"
        told["warmup"] = f"{text}; found {warmup:g}"
    without = [task for task in description.tasks if not _has_classes(task)]
    if train["class_weights"] == "balanced" and without:
        task = without[0]
        text = f"'{task.name}' is of kind '{task.kind}', without classes"
        told["class_weights"] = f"`class_weights` must name the tasks to balance; {text}"
    if _nothing_moves(config["model"], train["freeze"] or ()):
        told["freeze"] = "`freeze` must leave something to train; found encoders, fusion and heads"
    for name, text in told.items():
        problems.append(Problem(("train", name), text, combination=True))


def _nothing_moves(model: Mapping[str, Any], frozen: Sequence[str]) -> bool:
    """Whether all parts stand still; those of a model of one's own are not known."""
    if "name" in model or not {"encoders", "fusion", "heads"} <= set(frozen):
        return False
    # One that is more than whole paths may have parameters of its own.
    return "sharing" in frozen or SHARINGS[model["sharing"]["name"]].whole_paths


def check_together(
    config: Mapping[str, Any], description: Description, problems: list[Problem]
) -> None:
    """Whether the weighting and the diagnostics have what they need in this sharing."""
    if config["train"]["diagnostics"] is not None:
        wrong = _nothing_to_compare(config)
        if wrong is not None:
            text = f"`diagnostics` compares the gradients of tasks that share parameters; {wrong}"
            problems.append(Problem(("train", "diagnostics"), text, combination=True))
            return
    weighting, space = config["weighting"]["name"], config["weighting"]["space"]
    if "sharing" in config["model"]:
        sharing = config["model"]["sharing"]["name"]
        wiring = SHARINGS[sharing]
        independent = wiring.independent_with(**settings_in(config["model"]["sharing"]))
        if independent and weighting != "equal":
            text = (
                f"'{weighting}' has nothing to balance in '{sharing}', where no task meets "
                "another: it would only change each task's rate (use equal)"
            )
            problems.append(Problem(("weighting",), text, combination=True))
            return
        spaces = wiring.spaces_with(**settings_in(config["model"]["sharing"]))
        if space is not None and space not in spaces:
            has = listed(sorted(spaces)) if spaces else "none"
            text = f"'{weighting}' takes gradients in {space}, which '{sharing}' has not"
            problems.append(Problem(("weighting",), f"{text} (it has: {has})", combination=True))
        elif space is not None and not shares_parameters(config["model"], description):
            text = f"'{weighting}' takes gradients of shared parameters; what '{sharing}' shares"
            problems.append(Problem(("weighting",), f"{text} here has none", combination=True))
        fusion = config["model"]["fusion"]["name"]
        if wiring.joins_modalities and FUSIONS[fusion].level == "decision":
            apart = [name for name, other in SHARINGS.items() if not other.joins_modalities]
            text = f"'{fusion}' fuses what each modality decides alone; in '{sharing}' they meet"
            told = f"{text} before that (choose from: {listed(apart)})"
            problems.append(Problem(("model", "sharing"), told, combination=True))
        if space == "last" and FUSIONS[fusion].level == "decision":
            text = (
                f"'{weighting}' takes gradients in the last shared layer: fusion '{fusion}' fuses"
            )
            told = f"{text} decisions, and no layer before those reads all modalities"
            problems.append(Problem(("weighting",), told, combination=True))


def _nothing_to_compare(config: Mapping[str, Any]) -> str | None:
    if len(config["tasks"]) < 2:
        return "there is one task"
    sharing = config["model"].get("sharing")
    if sharing is None:
        return None
    if "theta" not in SHARINGS[sharing["name"]].spaces_with(**settings_in(sharing)):
        return f"in '{sharing['name']}' none do"
    return None


def check_numerics(config: Mapping[str, Any], problems: list[Problem]) -> None:
    """Whether the way code is compiled goes together with what it has to do."""
    numerics = config["numerics"]
    mode = numerics["compile"]
    text = None
    if mode == "max-autotune" and numerics["precision"] == "tf32":
        text = "PyTorch's max-autotune refuses a precision of tf32 (use default)"
    if mode != "off" and config["weighting"]["gradients"] == "lean":
        text = (
            "a compiled backward pass cannot be batched, as `gradients: lean` needs it (use stored)"
        )
    if text is not None:
        problems.append(Problem(("numerics", "compile"), text, combination=True))
