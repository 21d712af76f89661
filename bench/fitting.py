"""Whether the parts of a variant fit its data and each other; each was right on its own.

Mistakes go to `problems`; what has no meaning together is marked as a combination.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mtmm.encoders import ENCODERS
from mtmm.fusion import FUSIONS
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
from mtmm.sizes import encoder_size
from mtmm.spec import Description
from mtmm.weighting import WEIGHTINGS

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
    """Whether the encoders can be made for their inputs."""
    for modality in description.modalities:
        try:
            encoder_size(model["encoders"][modality.name], modality, model["width"])
        except ValueError as error:
            place = ("model", "encoders", modality.name)
            problems.append(Problem(place, str(error), combination=True))


def check_class_weights(given: object, whole: Description, problems: list[Problem]) -> None:
    """Whether there is one weight for each class."""
    for task in whole.tasks if isinstance(given, dict) else ():
        weights = given.get(task.name) if isinstance(given, dict) else None
        if isinstance(weights, list) and len(weights) != task.classes:
            text = f"needs one weight for each of the {task.classes} classes"
            place: Path = ("train", "class_weights", task.name)
            problems.append(Problem(place, f"{text}; found {len(weights)}"))


def check_together(config: Mapping[str, Any], problems: list[Problem]) -> None:
    """Whether the weighting has what it needs in this sharing."""
    weighting = config["weighting"]["name"]
    method = WEIGHTINGS[weighting]
    if "sharing" in config["model"]:
        sharing = config["model"]["sharing"]["name"]
        wiring = SHARINGS[sharing]
        if wiring.independent and weighting != "equal":
            text = (
                f"'{weighting}' has nothing to balance in '{sharing}', where no task meets "
                "another: it would only change each task's rate (use equal)"
            )
            problems.append(Problem(("weighting",), text, combination=True))
            return
        if method.spaces and not method.spaces & wiring.spaces:
            has = listed(sorted(wiring.spaces))
            text = (
                f"'{weighting}' takes gradients in {' or '.join(sorted(method.spaces))}, which "
                f"'{sharing}' has not (it has: {has})"
            )
            problems.append(Problem(("weighting",), text, combination=True))
            return
    if method.needs != "losses":
        text = f"'{weighting}' needs the {method.needs}; this version hands on losses only"
        problems.append(Problem(("weighting",), text))
