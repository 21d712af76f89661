"""Components by name: from `film` or `{name: film, dropout: 0.1}` to a built object."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mtmm.settings import (
    Component,
    ConfigError,
    Path,
    Problem,
    check,
    found,
    listed,
    nearest,
    settings_of,
)


def resolve(
    kind: str,
    registry: Mapping[str, Component],
    value: object,
    path: Path,
    problems: list[Problem],
) -> dict[str, Any]:
    """The component `value` names, as `{"name": ..., every setting: its value or default}`.

    `value` is a name or a mapping with `name`. Mistakes are appended to `problems`; the result is
    then incomplete and must not be used.
    """
    if isinstance(value, str):
        value = {"name": value}
    if not isinstance(value, dict):
        text = f"must be the name of {_a(kind)} or a mapping with `name`; found {found(value)}"
        problems.append(Problem(path, text))
        return {}
    name = value.get("name")
    if not isinstance(name, str):
        text = f"{_a(kind)} needs `name`, one of: {listed(registry)}"
        problems.append(Problem((*path, "name") if "name" in value else path, text))
        return {}
    if name not in registry:
        text = f"unknown {kind} '{name}'{nearest(name, registry)} (there are: {listed(registry)})"
        problems.append(Problem(path if len(value) == 1 else (*path, "name"), text))
        return {}
    settings = {key: item for key, item in value.items() if key != "name"}
    return {
        "name": name,
        **resolve_settings(f"{kind} '{name}'", registry[name], settings, path, problems),
    }


def resolve_settings(
    owner: str,
    component: Component,
    values: Mapping[str, Any],
    path: Path,
    problems: list[Problem],
) -> dict[str, Any]:
    """Every setting of `component`: as given in `values`, else its default."""
    declared = settings_of(component)
    for key in values:
        if key not in declared:
            hint = nearest(key, declared)
            text = f"unknown setting '{key}' of {owner}{hint} (it has: {listed(declared)})"
            problems.append(Problem((*path, key), text))
    resolved = {}
    for name, setting in declared.items():
        value, wrong = check(setting.annotation, values.get(name, setting.default))
        if wrong is not None:
            joint = ": " if wrong.startswith("item ") else " "
            problems.append(Problem((*path, name), f"`{name}` of {owner}{joint}{wrong}"))
        resolved[name] = value
    return resolved


def settings_in(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a resolved component: all but its name."""
    return {key: value for key, value in config.items() if key != "name"}


def raise_for(problems: list[Problem]) -> None:
    """Raise ConfigError where there are problems."""
    if problems:
        raise ConfigError(problems)


def _a(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"
