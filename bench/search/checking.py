"""Whether the space, the sampler and the pruner of a search fit its arms: some values are tried."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.planning import Variant
from bench.search.configuring import Config, configured, epochs
from bench.searches import Search
from bench.space import Entry
from bench.variant import Resolver
from mtmm.settings import Problem

_DRAWS = 40  # of the space of each arm, to see whether its settings fit


def _too_short(search: Search, arms: Sequence[Variant]) -> list[Problem]:
    """A pruner of epochs with nothing to stop: every trial ends after its first."""
    if search.pruner not in ("median", "hyperband"):
        return []
    if any(epochs(arm.config, search.space) > 1 for arm in arms):
        return []
    text = f"'{search.pruner}' stops trials after an epoch: `train.epochs` must be above 1; found 1"
    return [Problem(("search", "pruner"), text)]


def misfits(search: Search, arms: Sequence[Variant]) -> list[Problem]:
    """What is wrong with some value of the space, and entries that decide about no arm."""
    resolver, met = Resolver(), list[Problem]()
    effects = {entry.name: _Effect() for entry in search.space}
    for arm in arms:
        ways = set[frozenset[str]]()
        for draw in range(_DRAWS):
            proposer = _Draw(random.Random(draw), corner={0: 0.0, 1: 1.0}.get(draw))
            config, problems = configured(arm.config, search.space, proposer, resolver)
            ways.add(frozenset(proposer.proposed))
            for entry in search.space:
                effects[entry.name].note(entry, proposer.proposed, config, problems)
            met += [
                _placed(problem, search, arm.name)
                for problem in problems
                if not problem.combination
            ]
        met += _unfit_for_sampler(search, arm.name, ways)
    told = [*_first_of_each(met, search), *_without_effect(search, effects)]
    return told or _too_short(search, arms)


@dataclass(slots=True)
class _Effect:
    """What was proposed for an entry, and what configurations then had in its place, as texts."""

    proposed: set[str] = field(default_factory=set)
    resolved: set[str] = field(default_factory=set)

    def note(
        self, entry: Entry, proposed: Mapping[str, Any], config: Config, problems: list[Problem]
    ) -> None:
        """Add a draw; of one with problems only that the entry was proposed."""
        own = [value for name, value in proposed.items() if name.partition("[")[0] == entry.name]
        if not own:
            return
        self.proposed.add(repr(own))
        value: Any = config
        for key in entry.override.target:
            value = value.get(key) if isinstance(value, Mapping) else None
        self.resolved.add(repr(own) if problems else repr(value))


def _without_effect(search: Search, effects: Mapping[str, _Effect]) -> Iterator[Problem]:
    for entry in search.space:
        effect = effects[entry.name]
        if not effect.proposed:
            text = "no arm, and nothing that the space makes of one, agrees with `when`"
            yield Problem((*entry.override.source, "when"), text)
        elif len(effect.proposed) > 1 and len(effect.resolved) == 1:
            text = "changes nothing: whatever is proposed, configurations have "
            yield Problem(entry.override.source, f"{text}{next(iter(effect.resolved))} there")


def _unfit_for_sampler(search: Search, arm: str, ways: set[frozenset[str]]) -> Iterator[Problem]:
    """What some samplers cannot do with an arm, and would do at random instead."""
    path, name = ("search", "sampler"), search.sampler
    if name in ("gp", "cmaes") and len(ways) > 1:
        text = f"'{name}' needs one list of settings for all trials of an arm: `when` makes "
        yield Problem(path, f"{text}several of '{arm}' (use tpe, nsga2 or random)")
    if name == "cmaes" and any(len(names) < 2 for names in ways):
        text = "'cmaes' needs two numbers or more to search (use tpe or gp)"
        yield Problem(path, f"{text}, in the arm '{arm}'")


def _first_of_each(problems: Sequence[Problem], search: Search) -> list[Problem]:
    """One problem of each range, which may have many; every one of a list of choices."""
    ranges = {entry.override.source for entry in search.space if not entry.choices}
    told = dict[Any, Problem]()
    for problem in problems:
        told.setdefault(problem.path if problem.path in ranges else problem, problem)
    return list(told.values())


def _placed(problem: Problem, search: Search, arm: str) -> Problem:
    """The problem at the entry of the space that it comes from."""
    # The innermost first: of a component and its setting, searched together, it is the setting.
    for entry in sorted(search.space, key=lambda entry: -len(entry.override.target)):
        target = entry.override.target
        shared = min(len(target), len(problem.path))
        if target[:shared] == problem.path[:shared]:
            text = f"{problem.message}, in the arm '{arm}'"
            return Problem(entry.override.source, text)
    return problem


class _Draw:
    """Proposes at random, or every range's end."""

    def __init__(self, generator: random.Random, corner: float | None) -> None:
        self._generator, self._corner = generator, corner
        self.proposed: dict[str, Any] = {}

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        return self._noted(name, self._generator.choice(choices))

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        return float(self._noted(name, low + (high - low) * self._share()))

    def suggest_int(
        self, name: str, low: int, high: int, *, step: int = 1, log: bool = False
    ) -> int:
        return int(self._noted(name, low + step * int((high - low) // step * self._share())))

    def _noted(self, name: str, value: Any) -> Any:
        self.proposed[name] = value
        return value

    def _share(self) -> float:
        return self._generator.random() if self._corner is None else self._corner
