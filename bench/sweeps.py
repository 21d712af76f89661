"""What a suite varies: `sweep`, `ablate`, `baseline`.

Each function takes a section's value and appends what is wrong with it to `problems`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench import settings
from bench.overrides import SHORT, Axis, Block, Choice, Override, SimplexPoint, target_of
from bench.variant import KEYS
from mtmm.registry import resolve_settings
from mtmm.settings import Path, Problem, check, dotted, found, listed, nearest

EACH = "each"
"""In `ablate`: one modality or task at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """Modalities or tasks (`key`) to leave out one at a time; `names` None: each of the base."""

    key: str
    names: tuple[str, ...] | None
    source: Path


def overrides(value: object, path: Path, problems: list[Problem]) -> Choice:
    """Settings mapped to one value each, as in `baseline`."""
    if not isinstance(value, dict):
        text = f"must map settings to values, such as {{fusion: concat}}; found {found(value)}"
        problems.append(Problem(path, text))
        return ()
    made: dict[Path, Override] = {}
    for key, item in value.items():
        place = (*path, key)
        if _known(key, place, problems):
            override = Override(target_of(key), place, item)
            if override.target in made:
                text = f"'{dotted(override.target)}' is set twice here"
                problems.append(Problem(place, text))
            made[override.target] = override
    return tuple(made.values())


def sweep(value: object, problems: list[Problem]) -> tuple[Block, ...]:
    """`sweep`: blocks, joined."""
    if not isinstance(value, list):
        problems.append(Problem(("sweep",), f"must be a list of blocks; found {found(value)}"))
        return ()
    return tuple(_block(block, ("sweep", i), problems) for i, block in enumerate(value))


def _block(block: object, path: Path, problems: list[Problem]) -> Block:
    if not isinstance(block, dict) or not block:
        text = f"a block maps settings to lists of values; found {found(block)}"
        problems.append(Problem(path, text))
        return ()
    axes: list[Axis] = []
    for key, values in block.items():
        place = (*path, key)
        if key == "zip":
            axes += _zip(values, place, problems)
        elif key == "simplex":
            axes += _simplex(values, place, problems)
        elif _known(key, place, problems, (*KEYS, *SHORT, "zip", "simplex")):
            axes += _axis(key, values, place, problems)
    _refuse_twice(axes, path, problems)
    return tuple(axes)


def _axis(key: str, values: object, place: Path, problems: list[Problem]) -> list[Axis]:
    if not isinstance(values, list) or not values:
        text = f"an axis is a list of one or more values; found {found(values)}"
        problems.append(Problem(place, text))
        return []
    target = target_of(key)
    return [tuple((Override(target, (*place, i), item),) for i, item in enumerate(values))]


def _zip(value: object, path: Path, problems: list[Problem]) -> list[Axis]:
    """Axes of equal length that advance together: one axis."""
    if not isinstance(value, dict) or len(value) < 2:
        text = f"must map two or more settings to lists of equal length; found {found(value)}"
        problems.append(Problem(path, text))
        return []
    before = len(problems)
    axes: list[Axis] = []
    for key, values in value.items():
        if _known(key, (*path, key), problems):
            axes += _axis(key, values, (*path, key), problems)
    if len(problems) > before:
        return []
    lengths = {key: len(values) for key, values in value.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{key} has {length}" for key, length in lengths.items())
        problems.append(Problem(path, f"lists must be equally long; {told}"))
        return []
    return [tuple(sum(rows, ()) for rows in zip(*axes, strict=True))]


def _simplex(value: object, path: Path, problems: list[Problem]) -> list[Axis]:
    if not isinstance(value, dict):
        text = f"must be a mapping with `axis` and `points`; found {found(value)}"
        problems.append(Problem(path, text))
        return []
    before = len(problems)
    given = resolve_settings("simplex", settings.simplex, value, path, problems)
    if len(problems) > before or not _known(given["axis"], (*path, "axis"), problems):
        return []
    target, count = target_of(given["axis"]), given["points"]
    return [tuple((Override(target, path, SimplexPoint(i, count)),) for i in range(count))]


def _refuse_twice(axes: Sequence[Axis], path: Path, problems: list[Problem]) -> None:
    seen: set[Path] = set()
    for override in (override for axis in axes for override in axis[0]):
        if override.target in seen:
            text = f"'{dotted(override.target)}' is swept twice in this block"
            place = override.source[:-1] if isinstance(override.source[-1], int) else path
            problems.append(Problem(place, text))
        seen.add(override.target)


def ablate(
    value: object, problems: list[Problem]
) -> tuple[tuple[Choice, ...], tuple[Removal, ...]]:
    """`ablate`: components to replace one at a time, modalities and tasks to remove."""
    if not isinstance(value, dict):
        text = f"must map settings to what replaces them; found {found(value)}"
        problems.append(Problem(("ablate",), text))
        return (), ()
    replacements: list[Choice] = []
    removals: list[Removal] = []
    for key, item in value.items():
        place: Path = ("ablate", key)
        if key in ("modalities", "tasks"):
            removals += _removal(key, item, place, problems)
        elif _known(key, place, problems):
            values = item if isinstance(item, list) else [item]
            replacements += [
                choice for axis in _axis(key, values, place, problems) for choice in axis
            ]
    return tuple(replacements), tuple(removals)


def _removal(key: str, value: object, place: Path, problems: list[Problem]) -> list[Removal]:
    if value == EACH:
        return [Removal(key=key, names=None, source=place)]
    names, wrong = check(list[str], value)
    if wrong is not None or not names:
        text = f"must be the word each, or a list of {key} to remove one at a time"
        problems.append(Problem(place, f"{text}; found {found(value)}"))
        return []
    return [Removal(key=key, names=tuple(names), source=place)]


def _known(
    key: str, place: Path, problems: list[Problem], names: Sequence[str] = (*KEYS, *SHORT)
) -> bool:
    first = key.split(".")[0]
    if first in names and all(key.split(".")):
        return True
    text = (
        f"unknown setting '{key}'{nearest(first, names)} (it starts with one of: {listed(names)})"
    )
    problems.append(Problem(place, text))
    return False
