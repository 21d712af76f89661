"""The arms of a search, and the configurations that a space makes of one."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from bench.expansion import agrees
from bench.overrides import Axis, OverrideError, apply
from bench.planning import Plan, Variant, make_plan
from bench.search.columns import unknown_columns
from bench.searches import Search
from bench.space import Entry, Proposer
from bench.suite import Suite, SuiteError
from bench.variant import Resolver
from mtmm.settings import Problem, dotted, listed, nearest

Config = dict[str, Any]

_DRAWS = 40  # of the space of each arm, to see whether its settings fit


def plan_arms(suite: Suite) -> tuple[Search, Plan]:
    """The search of a suite, and a plan whose variants are its arms.

    Raises SuiteError with everything that is wrong with either.
    """
    if suite.search is None:
        if suite.problems:
            raise SuiteError(suite.document, suite.problems)
        text = "has no `search`: what to search, such as "
        text += "{space: {train.optimizer.lr: {low: 1e-4, high: 1e-2, log: true}}}"
        raise SuiteError(suite.document, [Problem((), text)])
    problems = [
        *suite.problems,
        *_unknown_axes(suite, suite.search),
        *_searched_axes(suite.search),
    ]
    if problems:
        raise SuiteError(suite.document, problems)
    sweep = tuple(
        tuple(axis for axis in block if _is_each(axis, suite.search)) for block in suite.sweep
    )
    arms = make_plan(
        replace(
            suite,
            sweep=tuple(block for block in sweep if block),
            replacements=(),
            removals=(),
            single_task="off",
        )
    )
    problems = [
        *unknown_columns(suite.search, arms.variants),
        *_too_short(suite.search, arms.variants),
        *_misfits(suite.search, arms.variants),
    ]
    if problems:
        told = dict.fromkeys((problem.path, problem.message) for problem in problems)
        raise SuiteError(suite.document, [Problem(*one) for one in told])
    return suite.search, arms


def configured(
    arm: Config, space: Sequence[Entry], proposer: Proposer, resolver: Resolver
) -> tuple[Config, list[Problem]]:
    """An arm with proposed values for what is searched, resolved; with all that is wrong with it.

    An entry is proposed only where the settings before it agree with its `when`.
    """
    raw, problems = arm, list[Problem]()
    for entry in space:
        if entry.when and not agrees(raw, entry.when):
            continue
        value = entry.propose(proposer, len(arm["tasks"]))
        try:
            raw = apply(raw, (replace(entry.override, value=value),))
        except OverrideError as error:
            problems.append(Problem(error.source, str(error)))
    return resolver.resolve(raw, problems), problems


def _is_each(axis: Axis, search: Search) -> bool:
    return any(override.target in search.each for override in axis[0])


def _unknown_axes(suite: Suite, search: Search) -> list[Problem]:
    swept = [o.target for block in suite.sweep for axis in block for o in axis[0]]
    names = [dotted(target) for target in swept]
    return [
        Problem(
            ("search", "each", i),
            f"'{dotted(target)}' is no axis of the sweep{nearest(dotted(target), names)} "
            f"(there are: {listed(dict.fromkeys(names))})",
        )
        for i, target in enumerate(search.each)
        if target not in swept
    ]


def _searched_axes(search: Search) -> list[Problem]:
    """Entries of the space that would make one arm of another."""
    return [
        Problem(
            entry.override.source,
            f"cannot be searched: '{dotted(axis)}' of `search.each` tells the arms apart",
        )
        for entry in search.space
        for axis in search.each
        if axis[: len(entry.override.target)] == entry.override.target
    ]


def _too_short(search: Search, arms: Sequence[Variant]) -> list[Problem]:
    """A pruner of epochs with nothing to stop: every trial ends after its first."""
    if search.pruner not in ("median", "hyperband"):
        return []
    if any(epochs(arm.config, search.space) > 1 for arm in arms):
        return []
    text = f"'{search.pruner}' stops trials after an epoch: `train.epochs` must be above 1; found 1"
    return [Problem(("search", "pruner"), text)]


def epochs(arm: Config, space: Sequence[Entry]) -> int:
    """The epochs that a configuration of the arm trains at most."""
    searched = [entry for entry in space if entry.name == "train.epochs"]
    ends = [max(entry.choices, default=entry.high) for entry in searched]
    return int(max([arm["train"]["epochs"], *ends]))


def _misfits(search: Search, arms: Sequence[Variant]) -> list[Problem]:
    """What is wrong with some value of the space, and entries that no arm ever gets to."""
    resolver, met, used = Resolver(), list[Problem](), set[str]()
    for arm in arms:
        ways = set[frozenset[str]]()
        for draw in range(_DRAWS):
            proposer = _Draw(random.Random(draw), corner={0: 0.0, 1: 1.0}.get(draw))
            _, problems = configured(arm.config, search.space, proposer, resolver)
            used |= proposer.names
            ways.add(frozenset(proposer.names))
            met += [
                _placed(problem, search, arm.name)
                for problem in problems
                if not problem.combination
            ]
        met += _unfit_for_sampler(search, arm.name, ways)
    idle = [e for e in search.space if not any(n.partition("[")[0] == e.name for n in used)]
    text = "no arm, and nothing that the space makes of one, agrees with `when`"
    return [
        *_first_of_each(met, search),
        *(Problem((*entry.override.source, "when"), text) for entry in idle),
    ]


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
        self.names = set[str]()

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        self.names.add(name)
        return self._generator.choice(choices)

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        self.names.add(name)
        return low + (high - low) * self._share()

    def suggest_int(
        self, name: str, low: int, high: int, *, step: int = 1, log: bool = False
    ) -> int:
        self.names.add(name)
        return low + step * int((high - low) // step * self._share())

    def _share(self) -> float:
        return self._generator.random() if self._corner is None else self._corner
