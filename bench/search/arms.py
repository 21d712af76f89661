"""The arms of a search: the variants of a suite that each have a budget of their own."""

from __future__ import annotations

from dataclasses import replace

from bench.overrides import Axis
from bench.planning import Plan, make_plan
from bench.search.checking import misfits
from bench.search.columns import unknown_columns
from bench.searches import Search
from bench.suite import Suite, SuiteError
from mtmm.settings import Problem, dotted, listed, nearest


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
        *misfits(suite.search, arms.variants),
    ]
    if problems:
        told = dict.fromkeys((problem.path, problem.message) for problem in problems)
        raise SuiteError(suite.document, [Problem(*one) for one in told])
    return suite.search, arms


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
