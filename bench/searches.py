"""The `search` section of a suite."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bench import settings
from bench.goals import TIMED, Constraint, is_of_val, read_constraints, read_objectives
from bench.overrides import target_of
from bench.space import Entry, read_space
from mtmm.registry import resolve_settings
from mtmm.settings import Path, Problem, found, listed

_PATH: Path = ("search",)

_WILCOXON_SEEDS = 5  # before the fourth no difference can be significant at its 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What is searched, and how: the settings are those of `bench.settings.search`."""

    space: tuple[Entry, ...]
    each: tuple[Path, ...]
    """Axes of the sweep whose values are arms, each with a budget of its own."""
    objectives: tuple[str, ...]
    """The columns that are looked for; the first decides where one configuration is chosen."""
    constraints: tuple[Constraint, ...]
    sampler: str
    pruner: str
    trials: int
    seeds: int
    repeats: int
    seed: int
    timeout_s: float | None

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that is asked of a trial."""
        return (*self.objectives, *(one.column for one in self.constraints))

    @property
    def times(self) -> bool:
        """Whether trials are timed."""
        return any(column in TIMED for column in self.columns)


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
    limits = rest.pop("constraints", {})
    constraints = read_constraints(limits, (*_PATH, "constraints"), problems)
    given: dict[str, Any] = resolve_settings("search", settings.search, rest, _PATH, problems)
    if len(problems) > before:
        return None
    objectives = read_objectives(given.pop("objective"), (*_PATH, "objective"), problems)
    search = Search(space=space, each=each, objectives=objectives, constraints=constraints, **given)
    _check_pruner(search, problems)
    _check_sampler(search, problems)
    return None if len(problems) > before else search


def _check_pruner(search: Search, problems: list[Problem]) -> None:
    """A pruner compares what is known of one objective before a trial has ended."""
    if search.pruner == "none":
        return
    path, name = (*_PATH, "pruner"), search.pruner
    if len(search.objectives) > 1:
        text = f"'{name}' compares one number: with several objectives it must be none (or make "
        problems.append(Problem(path, f"{text}all but one of them constraints)"))
    elif not is_of_val(search.objectives[0]):
        text = f"'{name}' compares val while a trial trains; found the objective "
        problems.append(Problem(path, f"{text}{search.objectives[0]} (use none)"))
    if name == "wilcoxon" and search.seeds < _WILCOXON_SEEDS:
        text = f"'wilcoxon' needs `seeds` of at least {_WILCOXON_SEEDS}, as fewer cannot differ "
        problems.append(Problem(path, f"{text}significantly before the last; found {search.seeds}"))


def _check_sampler(search: Search, problems: list[Problem]) -> None:
    path = (*_PATH, "sampler")
    if search.sampler == "grid":
        endless = [entry.name for entry in search.space if not entry.countable]
        if endless:
            text = "'grid' needs values to count: choices, whole numbers or a `step`; found "
            problems.append(Problem(path, f"{text}{listed(endless)}"))
    if search.sampler != "cmaes":
        return
    if len(search.objectives) > 1 or search.constraints:
        text = "'cmaes' knows one objective and no constraints (use tpe, gp or nsga2)"
        problems.append(Problem(path, text))
    chosen = [entry.name for entry in search.space if entry.choices]
    if chosen:
        text = f"'cmaes' searches numbers; found choices for {listed(chosen)} (use tpe or gp)"
        problems.append(Problem(path, text))


def _each(value: object, problems: list[Problem]) -> tuple[Path, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        text = f"must be a list of axes of the sweep, such as [fusion]; found {found(value)}"
        problems.append(Problem((*_PATH, "each"), text))
        return ()
    return tuple(target_of(item) for item in value)
