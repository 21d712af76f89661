"""Overrides: what a sweep, an ablation or a command changes in a suite's base."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bench import settings
from mtmm.settings import Path, dotted, found, settings_of

SHORT = dict.fromkeys(("encoders", "fusion", "heads", "sharing"), "model")
"""Keys that may be written without the one in front."""


@dataclass(frozen=True, slots=True)
class Override:
    """A value, where in a variant's settings it belongs, and where in the file it stands.

    `label` is what a variant is called for it, where the value would tell too little.
    """

    target: Path
    source: Path
    value: Any
    label: str = ""


Choice = tuple[Override, ...]
"""Overrides that are made together."""

Axis = tuple[Choice, ...]
"""Choices of which a variant takes one."""

Block = tuple[Axis, ...]
"""Axes that multiply."""


@dataclass(frozen=True, slots=True)
class SimplexPoint:
    """The value of a simplex axis before the number of tasks is known: point `index` of `count`."""

    index: int
    count: int


MAPPINGS = tuple(
    ("train", name)
    for name, setting in settings_of(settings.train).items()
    if any(typing.get_origin(part) is dict for part in typing.get_args(setting.annotation))
)
"""Settings that are mappings of names; the names may have dots."""


def target_of(key: str) -> Path:
    """Where a key of the base or of an axis belongs: `fusion` is `model.fusion`."""
    parts = tuple(key.split("."))
    if parts[:2] in MAPPINGS and len(parts) > 2:
        return (*parts[:2], ".".join(parts[2:]))
    return (SHORT[parts[0]], *parts) if parts[0] in SHORT else parts


def put(config: dict[str, Any], target: Path, value: Any) -> None:
    """Set the value at `target`; a component given by its name becomes a mapping on the way.

    Only mappings on the way are copied: what `config` was made from stays as it was. Raises
    ValueError where something on the way is no component and no mapping.
    """
    *parents, last = target
    for i, part in enumerate(parents):
        inner = config.get(str(part), {})
        if not isinstance(inner, str | dict):
            inside = dotted(target[: i + 1])
            raise ValueError(f"nothing can be set inside '{inside}'; it is {found(inner)}")
        config[str(part)] = config = {"name": inner} if isinstance(inner, str) else dict(inner)
    config[str(last)] = value


def apply(raw: Mapping[str, Any], choice: Choice) -> dict[str, Any]:
    """The settings with the overrides made, a component before its own settings.

    Raises OverrideError where one cannot be made.
    """
    changed = dict(raw)
    for override in sorted(choice, key=lambda override: len(override.target)):
        try:
            put(changed, override.target, override.value)
        except ValueError as error:
            raise OverrideError(override.source, str(error)) from None
    return changed


class OverrideError(ValueError):
    """An override that cannot be made, with its place in the file."""

    def __init__(self, source: Path, message: str) -> None:
        self.source = source
        super().__init__(message)
