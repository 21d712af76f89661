"""What a suite says of a table's columns: inputs, tasks and split, checked against the table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mtmm.settings import found, listed, nearest

Given = int | float | str | list[str] | list[float]

INPUTS: Mapping[str, Mapping[str, Any]] = {
    "image": {"column": "", "size": 64, "channels": 3},
    "text": {"column": "", "length": 32, "vocabulary": 5000, "tokenizer": ""},
    "vector": {"columns": [""]},
    "audio": {"column": "", "rate": 16_000, "seconds": 1.0, "bands": 40},
}
"""The settings of each kind of input; an empty word stands for what must be said."""

TASKS: Mapping[str, Mapping[str, Any]] = {
    "classification": {"column": ""},
    "multilabel": {"columns": [""]},
    "ordinal": {"column": "", "order": [""]},
    "regression": {"column": ""},
}
"""The settings of each kind of task."""

_MAY_BE_LEFT_OUT = ("tokenizer", "order")

SPLIT: Mapping[str, Any] = {"column": "", "fractions": [0.7, 0.15, 0.15], "group": "", "seed": 0}
PARTS = ("train", "val", "test")


@dataclass(frozen=True, slots=True)
class Part:
    """An input or a task: its name, kind, the columns it is made of, and its other settings."""

    name: str
    kind: str
    columns: tuple[str, ...]
    settings: Mapping[str, Any]


def read_parts(
    owner: str,
    given: Mapping[str, Mapping[str, Given]],
    kinds: Mapping[str, Mapping[str, Any]],
    columns: Iterable[str],
    problems: list[str],
) -> list[Part]:
    """The inputs or tasks that a suite names; what is wrong with them goes to `problems`.

    One that names columns which are not there has the others, whose cells can be looked at.
    """
    columns = list(columns)
    if not given:
        problems.append(f"`{owner}` must name one or more")
    parts = []
    for name, settings in given.items():
        kind = settings.get("kind")
        if kind not in kinds:
            text = f"`kind` of {owner} '{name}' must be one of {listed(kinds)}"
            problems.append(f"{text}; found {found(kind)}")
            continue
        before = len(problems)
        problems += _wrong(f"{owner} '{name}'", settings, kinds[str(kind)])
        if len(problems) > before:
            continue
        filled = {**kinds[str(kind)], **settings}
        of_part = filled.get("columns") or [filled["column"]]
        problems += _unknown(f"{owner} '{name}'", of_part, columns)
        rest = {key: v for key, v in filled.items() if key not in ("kind", "column", "columns")}
        there = tuple(column for column in of_part if column in columns)
        if there:
            parts.append(Part(name, str(kind), there, rest))
    return parts


def read_split(
    given: Mapping[str, Given], columns: Iterable[str], problems: list[str]
) -> Mapping[str, Any]:
    """The split with its defaults; what is wrong with it goes to `problems`.

    Empty where something is: then no rows can be told apart.
    """
    before = len(problems)
    problems += [text for text in _wrong("split", given, SPLIT, optional=tuple(SPLIT))]
    if len(problems) > before:
        return {}
    filled = {**SPLIT, **given}
    named = [filled[key] for key in ("column", "group") if filled[key]]
    problems += _unknown("split", named, columns)
    shares = filled["fractions"]
    if len(shares) != 3 or min(shares) <= 0 or abs(sum(shares) - 1) > 1e-6:
        text = "`fractions` of split must be three numbers above 0 that sum to 1"
        problems.append(f"{text}; found {shares}")
    if "column" in given and "fractions" in given:
        problems.append("split has either a `column` or `fractions`; found both")
    return {} if len(problems) > before else filled


def _wrong(
    owner: str,
    given: Mapping[str, Given],
    known: Mapping[str, Any],
    optional: tuple[str, ...] = _MAY_BE_LEFT_OUT,
) -> Iterator[str]:
    for key, value in given.items():
        if key == "kind":
            continue
        if key not in known:
            hint = nearest(key, known)
            yield f"unknown setting '{key}' of {owner}{hint} (it has: {listed(known)})"
        elif not _like(value, known[key]):
            yield f"`{key}` of {owner} must be {_told(known[key])}; found {found(value)}"
    for key, default in known.items():
        if default in ("", [""]) and key not in optional and not given.get(key):
            yield f"{owner} needs `{key}`, {_told(default)}"


def _like(value: Given, example: Any) -> bool:
    if isinstance(example, list):
        return isinstance(value, list) and all(_like(item, example[0]) for item in value)
    if isinstance(example, str):
        return isinstance(value, str)
    whole = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    return whole or (isinstance(example, float) and isinstance(value, float) and value > 0)


def _told(example: Any) -> str:
    if isinstance(example, list):
        return "a list of words" if isinstance(example[0], str) else "a list of numbers"
    return {str: "a word", int: "a whole number", float: "a number above 0"}[type(example)]


def _unknown(owner: str, named: Iterable[str], columns: Iterable[str]) -> Iterator[str]:
    columns = list(columns)
    for name in named:
        if name not in columns:
            told = listed(columns[:12]) + (", ..." if len(columns) > 12 else "")
            yield f"{owner}: the table has no column '{name}'{nearest(name, columns)} ({told})"
