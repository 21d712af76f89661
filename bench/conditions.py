"""What a suite says about some of its variants: `exclude` and `family`.

Each function takes a section's value and appends what is wrong with it to `problems`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.overrides import Choice
from bench.sections import word
from bench.sweeps import overrides
from mtmm.settings import Path, Problem, found, listed, nearest


@dataclass(frozen=True, slots=True, kw_only=True)
class Exclusion:
    """Combinations not to run: those that agree with `when` in everything it names."""

    when: Choice
    reason: str
    source: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Which contrasts are tested.

    Variants that agree with `excepted` are in none. With `best` the others are tested against the
    best of those that agree with it, too. An empty condition is one that the suite does not set.
    """

    excepted: Choice = ()
    best: Choice = ()


def exclude(value: object, problems: list[Problem]) -> tuple[Exclusion, ...]:
    """`exclude`: combinations not to run, each with its reason."""
    if not isinstance(value, list):
        text = f"must be a list of {{when: ..., reason: ...}}; found {found(value)}"
        problems.append(Problem(("exclude",), text))
        return ()
    return tuple(
        exclusion
        for i, item in enumerate(value)
        for exclusion in _exclusion(item, ("exclude", i), problems)
    )


def family(value: object, problems: list[Problem]) -> Family:
    """`family`: who is not tested, and of whom the best is a second comparator."""
    path: Path = ("family",)
    if not isinstance(value, dict):
        text = f"must be a mapping with `except`, `best` or both; found {found(value)}"
        problems.append(Problem(path, text))
        return Family()
    _refuse_others(value, ("except", "best"), path, problems)
    for key in ("except", "best"):
        if value.get(key) == {}:
            text = "must name one setting or more, such as {weighting: static}"
            problems.append(Problem((*path, key), text))
    return Family(
        excepted=overrides(value.get("except", {}), (*path, "except"), problems),
        best=overrides(value.get("best", {}), (*path, "best"), problems),
    )


def _exclusion(item: object, path: Path, problems: list[Problem]) -> list[Exclusion]:
    if not isinstance(item, dict):
        text = f"must be a mapping with `when` and `reason`; found {found(item)}"
        problems.append(Problem(path, text))
        return []
    before = len(problems)
    _refuse_others(item, ("when", "reason"), path, problems)
    when = overrides(item.get("when", {}), (*path, "when"), problems)
    reason = word(item.get("reason", ""), (*path, "reason"), problems)
    if len(problems) == before:
        if not when:
            text = "needs `when`: the settings of the combinations to leave out"
            problems.append(Problem(path, text))
        if not reason.strip():
            problems.append(Problem(path, "needs `reason`: why these are left out"))
    if len(problems) > before:
        return []
    return [Exclusion(when=when, reason=reason, source=path)]


def _refuse_others(
    value: Mapping[str, Any], keys: Sequence[str], path: Path, problems: list[Problem]
) -> None:
    for key in value:
        if key not in keys:
            text = f"unknown key '{key}'{nearest(key, keys)} (there are: {listed(keys)})"
            problems.append(Problem((*path, key), text))
