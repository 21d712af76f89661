"""The space of a search: which settings are varied, within which bounds, and when."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

from bench.overrides import Choice, Override
from bench.sweeps import overrides
from mtmm.settings import Path, Problem, dotted, found, listed, nearest

_MOST_STEPS = 10**9

_KEYS = ("low", "high", "log", "step", "choices", "simplex", "when")


class Proposer(Protocol):
    """What proposes values: a trial of Optuna, or anything with the same three methods."""

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """One of the choices."""

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """A number of the range."""

    def suggest_int(
        self, name: str, low: int, high: int, *, step: int = 1, log: bool = False
    ) -> int:
        """A whole number of the range."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One setting that is searched: a range, a list of choices, or weights of the tasks.

    It is proposed only for configurations that agree with `when`.
    """

    override: Override
    """Where the setting belongs and where the entry stands; it has no value yet."""
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    step: float | None = None
    choices: tuple[Any, ...] = ()
    simplex: bool = False
    """Whether it is a list of task weights, which sum to the number of tasks."""
    when: Choice = ()

    @property
    def name(self) -> str:
        """What the setting is called in a study."""
        return dotted(self.override.target)

    @property
    def whole(self) -> bool:
        """Whether it is a range of whole numbers."""
        plain = not self.choices and not self.simplex
        return plain and isinstance(self.low, int) and isinstance(self.high, int)

    @property
    def countable(self) -> bool:
        """Whether its values are so few that they can be gone through."""
        return bool(self.choices) or self.whole or self.step is not None

    def propose(self, proposer: Proposer, tasks: int) -> Any:
        """A value for the setting of a variant with that many tasks."""
        if self.simplex:
            names = [f"{self.name}[{i}]" for i in range(tasks)]
            # Logarithms of uniform numbers, normalised, are uniform on the simplex.
            raw = [-math.log(proposer.suggest_float(name, 0.005, 0.995)) for name in names]
            return [tasks * one / sum(raw) for one in raw]
        if self.choices:
            # Optuna takes plain values only: others go by their text.
            texts = [json.dumps(choice, sort_keys=True) for choice in self.choices]
            return self.choices[texts.index(proposer.suggest_categorical(self.name, texts))]
        if self.whole:
            bounds = int(self.low), int(self.high)
            return proposer.suggest_int(self.name, *bounds, step=int(self.step or 1), log=self.log)
        return proposer.suggest_float(
            self.name, float(self.low), float(self.high), step=self.step, log=self.log
        )


def read_space(value: object, path: Path, problems: list[Problem]) -> tuple[Entry, ...]:
    """`space`: settings mapped to what is searched, each after those that it depends on."""
    if not isinstance(value, dict) or not value:
        text = "must map settings to ranges or lists of choices, such as "
        text += (
            f"{{train.optimizer.lr: {{low: 1e-4, high: 1e-2, log: true}}}}; found {found(value)}"
        )
        problems.append(Problem(path, text))
        return ()
    placed = {one.source[-1]: one for one in overrides(value, path, problems)}
    entries = [
        entry
        for key, override in placed.items()
        for entry in _entry(value[key], override, problems)
    ]
    return tuple(_ordered(entries, problems))


def _ordered(entries: list[Entry], problems: list[Problem]) -> list[Entry]:
    """A component before its own settings and before what is searched when it is chosen."""
    left, ordered = sorted(entries, key=lambda entry: bool(entry.when)), list[Entry]()
    while left:
        free = [one for one in left if not any(_decides(other, one) for other in left)]
        if not free:
            text = "`when` goes round in a circle: "
            text += (
                f"each of {listed(str(one.override.source[-1]) for one in left)} waits for another"
            )
            problems.append(Problem((*left[0].override.source, "when"), text))
            break
        ordered.append(free[0])
        left.remove(free[0])
    return ordered


def _decides(other: Entry, one: Entry) -> bool:
    """Whether `one` is, or depends on, something inside of what `other` replaces."""
    outer = other.override.target
    inner = [override.target for override in (one.override, *one.when)]
    return other is not one and any(target[: len(outer)] == outer for target in inner)


def _entry(value: object, override: Override, problems: list[Problem]) -> list[Entry]:
    path, before = override.source, len(problems)
    given = {"choices": value} if isinstance(value, list) else value
    if not isinstance(given, dict):
        text = "must be a list of choices, or a mapping with `low` and `high`"
        problems.append(Problem(path, f"{text}; found {found(value)}"))
        return []
    for key in given:
        if key not in _KEYS:
            text = f"unknown key '{key}'{nearest(key, _KEYS)} (there are: {listed(_KEYS)})"
            problems.append(Problem((*path, key), text))
    when = overrides(given.get("when", {}), (*path, "when"), problems)
    if "choices" in given:
        choices = given["choices"]
        if not isinstance(choices, list) or len(choices) < 2 or _twice(choices):
            text = f"`choices` must be two values or more, none twice; found {found(choices)}"
            problems.append(Problem(path, text))
        if any(key in given for key in ("low", "high", "log", "step")):
            problems.append(Problem(path, "has `choices`, so it can have no range beside them"))
        if len(problems) > before:
            return []
        return [Entry(override=override, choices=tuple(choices), when=when)]
    if "simplex" in given:
        if given["simplex"] is not True or not set(given) <= {"simplex", "when"}:
            text = "`simplex` must be true, with nothing beside it but `when`"
            problems.append(Problem(path, f"{text}; found {found(given)}"))
        return [Entry(override=override, simplex=True, when=when)]
    _check_range(given, path, problems)
    if len(problems) > before:
        return []
    bounds = {key: given[key] for key in ("low", "high", "log", "step") if key in given}
    return [Entry(override=override, when=when, **bounds)]


def _check_range(given: dict[str, Any], path: Path, problems: list[Problem]) -> None:
    wrong = [key for key in ("low", "high") if not _is_number(given.get(key))]
    for key in wrong:
        text = f"`{key}` must be a finite number; found {found(given.get(key))}"
        problems.append(Problem((*path, key) if key in given else path, text))
    log, step = given.get("log", False), given.get("step")
    if not isinstance(log, bool):
        problems.append(Problem((*path, "log"), f"`log` must be true or false; found {found(log)}"))
    if step is not None and (not _is_number(step) or step <= 0 or log is True):
        text = "`step` must be a number above 0, without `log`"
        problems.append(Problem((*path, "step"), f"{text}; found {found(step)}"))
    if wrong:
        return
    low, high = given["low"], given["high"]
    if low >= high:
        problems.append(Problem(path, f"`low` must be below `high`; found {low} and {high}"))
    if log is True and low <= 0:
        text = f"with `log` `low` must be above 0, which has no logarithm; found {low}"
        problems.append(Problem((*path, "low"), text))
    whole = isinstance(low, int) and isinstance(high, int)
    if whole and isinstance(step, float):
        text = f"`step` of a range of whole numbers must be whole; found {step}"
        problems.append(Problem((*path, "step"), text))
    elif step is not None and _is_number(step) and step > 0 and low < high:
        # Of the numbers as they are written: 0.3 is three steps of 0.1.
        start, end, by = (Decimal(str(number)) for number in (low, high, step))
        if (end - start) / by > _MOST_STEPS:
            text = f"`step` must leave at most {_MOST_STEPS:,} values between `low` and `high`"
            problems.append(Problem((*path, "step"), f"{text}; found {step}"))
        elif rest := (end - start) % by:
            text = f"`high` must be whole steps of {step} above `low`, such as "
            text += f"{end - rest if end - rest > start else end - rest + by}; found {high}"
            problems.append(Problem((*path, "high"), text))


def _is_number(value: object) -> bool:
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    return plain and math.isfinite(value)  # type: ignore[arg-type]


def _twice(values: list[Any]) -> bool:
    texts = [json.dumps(value, sort_keys=True) for value in values]
    return len(set(texts)) < len(texts)
