"""Which planned variants are tested, and which can be the second one they are tested against."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from bench.expansion import agrees, idle
from bench.overrides import Choice
from bench.suite import Suite, SuiteError
from mtmm.settings import Problem

Config = dict[str, Any]


class Members(NamedTuple):
    """Variants by key: those with verdicts, and the candidates for the second comparator."""

    family: tuple[str, ...]
    best_of: tuple[str, ...]


def members(suite: Suite, planned: Mapping[str, Config], baseline: str) -> Members:
    """What the suite's `family` comes to; raises SuiteError where that is nothing to compare."""
    problems: list[Problem] = []
    excepted = _agreeing(suite.family.excepted, "except", planned, problems)
    best_of = _agreeing(suite.family.best, "best", planned, problems)
    family = tuple(key for key in planned if key not in excepted)
    if excepted and not _contrasts(family, best_of, baseline):
        rest = " but the baseline" if family else ""
        text = f"matches every planned variant{rest}: nothing is left to test"
        problems.append(Problem(("family", "except"), text))
    tasks = {", ".join(planned[key]["tasks"]) for key in best_of}
    if len(tasks) > 1:
        text = "matches variants of different tasks, whose scores on val are not comparable"
        problems.append(Problem(("family", "best"), f"{text}: name `tasks` too"))
    if problems:
        raise SuiteError(suite.document, [suite.placed(problem) for problem in problems])
    return Members(family, best_of)


def _agreeing(
    when: Choice, key: str, planned: Mapping[str, Config], problems: list[Problem]
) -> tuple[str, ...]:
    """The variants that agree with a condition of the suite; none where it sets none."""
    found = tuple(name for name, config in planned.items() if when and agrees(config, when))
    if when and not found:
        problems.append(idle(when, ("family", key), list(planned.values()), "planned variant"))
    return found


def _contrasts(family: tuple[str, ...], best_of: tuple[str, ...], baseline: str) -> bool:
    """Whether some variant of the family can be tested against another one."""
    others = {*family, *best_of} - {baseline}
    return bool(family) and bool(others)
