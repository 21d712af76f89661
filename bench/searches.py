"""The `search` section of a suite."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bench import settings
from bench.overrides import target_of
from bench.space import Entry, read_space
from mtmm.registry import resolve_settings
from mtmm.settings import Path, Problem, found

_PATH: Path = ("search",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What is searched, and how: the settings are those of `bench.settings.search`."""

    space: tuple[Entry, ...]
    each: tuple[Path, ...]
    """Axes of the sweep whose values are arms, each with a budget of its own."""
    objective: str
    sampler: str
    trials: int
    seeds: int
    seed: int
    timeout_s: float | None


def read_search(value: object, problems: list[Problem]) -> Search | None:
    """`search`: what is wrong with it goes to `problems`."""
    if value is None:
        return None
    if not isinstance(value, dict):
        text = f"must be a mapping with `space`; found {found(value)}"
        problems.append(Problem(_PATH, text))
        return None
    before, rest = len(problems), dict(value)
    space = read_space(rest.pop("space", None), (*_PATH, "space"), problems)
    each = _each(rest.pop("each", []), problems)
    given: dict[str, Any] = resolve_settings("search", settings.search, rest, _PATH, problems)
    objective = str(given["objective"])
    if objective.startswith("test."):
        text = f"must be a column of val: test is for the tuned arms alone; found {objective}"
        problems.append(Problem((*_PATH, "objective"), text))
    elif objective != "val.score" and len(objective.split(".")) != 3:
        text = f"must be val.score or val.<task>.<metric>; found {objective}"
        problems.append(Problem((*_PATH, "objective"), text))
    if len(problems) > before:
        return None
    return Search(space=space, each=each, **given)


def _each(value: object, problems: list[Problem]) -> tuple[Path, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        text = f"must be a list of axes of the sweep, such as [fusion]; found {found(value)}"
        problems.append(Problem((*_PATH, "each"), text))
        return ()
    return tuple(target_of(item) for item in value)
