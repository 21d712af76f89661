"""The plain sections of a suite: what they may say, and what is read from them.

Each function takes a section's value and appends what is wrong with it to `problems`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from bench import settings
from mtmm.registry import resolve_settings
from mtmm.settings import Path, Problem, Range, check, found, listed, nearest

NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}"
"""What a suite may be called."""

_RESERVED = (
    "cells",
    "checkpoints",
    "environments",
    "kept",
    "locks",
    "logs",
    "reference",
    "set-aside",
    "shared",
)
_MAX_SEEDS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """What is timed: every batch size in every mode; `budget_s` seconds for each such block."""

    batch_sizes: tuple[int, ...]
    modes: tuple[str, ...]
    budget_s: float


def name(value: object, problems: list[Problem]) -> str:
    """`name`, which becomes a folder."""
    if not isinstance(value, str) or not re.fullmatch(NAME, value) or ".." in value:
        text = (
            "a suite needs `name`: 1 to 100 letters, digits, '-', '_' or '.', the first a letter "
            f"or digit, no '..'; found {found(value)}"
        )
        problems.append(Problem(("name",), text))
        return ""
    if value in _RESERVED:
        text = f"'{value}' is a folder of the results; take another name"
        problems.append(Problem(("name",), text))
    return value


def word(value: object, path: Path, problems: list[Problem]) -> str:
    """A text such as `question`."""
    text, wrong = check(str, value)
    if wrong is not None:
        problems.append(Problem(path, wrong))
    return str(text)


def seeds(value: object, problems: list[Problem]) -> tuple[int, ...]:
    """`seeds`: how many, or which."""
    if isinstance(value, list):
        chosen, wrong = check(list[Annotated[int, Range(low=0, high=2**63 - 1)]], value)
        if wrong is None and (not value or len(set(chosen)) < len(chosen)):
            wrong = f"must name at least one seed, and none twice; found {found(value)}"
    else:
        count, wrong = check(Annotated[int, Range(low=1, high=_MAX_SEEDS)], value)
        chosen = range(count if wrong is None else 0)
        if wrong is not None:
            wrong += " (the number of seeds, or a list of seeds)"
    if wrong is not None:
        problems.append(Problem(("seeds",), wrong))
        return ()
    return tuple(chosen)


def timing(value: object, problems: list[Problem]) -> Timing | None:
    """`timing`: a mapping, or the word off."""
    if value == "off":
        return None
    if not isinstance(value, dict):
        text = f"must be a mapping or the word off; found {found(value)}"
        problems.append(Problem(("timing",), text))
        return None
    before = len(problems)
    given = resolve_settings("timing", settings.timing, value, ("timing",), problems)
    for key in ("batch_sizes", "modes"):
        values = given[key]
        if isinstance(values, list) and (not values or any(values.count(v) > 1 for v in values)):
            text = f"must name one or more, and none twice; found {found(values)}"
            problems.append(Problem(("timing", key), text))
    if len(problems) > before:
        return None
    return Timing(
        batch_sizes=tuple(given["batch_sizes"] or ()),
        modes=tuple(given["modes"] or ("train", "inference")),
        budget_s=given["budget_s"],
    )


def single_task(value: object, problems: list[Problem]) -> str:
    """`single_task`: auto or off."""
    if value not in ("auto", "off"):
        problems.append(Problem(("single_task",), f"must be auto or off; found {found(value)}"))
    return str(value)


def limit(key: str, value: object, problems: list[Problem]) -> int:
    """`max_params` and `max_memory_mib`: variants that need more are not run."""
    # YAML writes a large number as 1e6, which is no whole number to Python.
    whole = int(value) if isinstance(value, float) and value.is_integer() else value
    most, wrong = check(Annotated[int, Range(low=1)], whole)
    if wrong is not None:
        problems.append(Problem((key,), wrong))
        return sys.maxsize
    return int(most)


def unknown_keys(value: Mapping[str, Any], names: Sequence[str], problems: list[Problem]) -> None:
    """Every key of the whole file that is none of `names`."""
    for key in value:
        if key not in names:
            text = f"unknown key '{key}'{nearest(key, names)} (there are: {listed(names)})"
            problems.append(Problem((key,), text))
