"""A component's settings: read from its signature, checked value by value.

A setting is a keyword-only, annotated constructor argument with a default. The suite schema, the
validation, the error texts and `bench list` all derive from the signature; there is no second
place to declare one.
"""

from __future__ import annotations

import difflib
import inspect
import math
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal, Union

Component = Callable[..., Any]
Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a configuration: where (keys and list positions from the root) and what.

    `combination` marks parts that are right each, but have no meaning together: inside a sweep
    that is a variant to skip, not a mistake.
    """

    path: Path
    message: str
    combination: bool = False


class ConfigError(ValueError):
    """A configuration with mistakes, all of them at once."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(f"{dotted(p.path)}: {p.message}" for p in self.problems))


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Bounds of a number, to annotate a setting with: `Annotated[float, Range(low=0)]`.

    An end named `above` or `below` does not belong to the range, one named `low` or `high` does.
    """

    low: float = -math.inf
    high: float = math.inf
    above: float = -math.inf
    below: float = math.inf

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high and self.above < value < self.below

    def __str__(self) -> str:
        bounds = [
            (self.low, "at least"),
            (self.above, "above"),
            (self.high, "at most"),
            (self.below, "below"),
        ]
        return " and ".join(f"{word} {_number(end)}" for end, word in bounds if math.isfinite(end))


@dataclass(frozen=True, slots=True)
class NameOf:
    """Says that a word names something of the data or the model: `Annotated[str, NameOf("task")]`.

    Which names there are is known only beside the data; `names_in` finds the words to look at.
    """

    kind: Literal["modality", "task", "part"]

    def __str__(self) -> str:
        return f"naming a {self.kind}"


ModalityName = Annotated[str, NameOf("modality")]
TaskName = Annotated[str, NameOf("task")]
PartName = Annotated[str, NameOf("part")]

NotNegative = Annotated[float, Range(low=0)]
AboveZero = Annotated[float, Range(above=0)]
# Bounded, so that even their products are finite in 32 bits.
Rate = Annotated[float, Range(above=0, high=1_000_000)]
Weight = Annotated[float, Range(low=0, high=1_000_000)]


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting as its signature declares it."""

    name: str
    annotation: Any
    default: Any


@cache
def settings_of(component: Component) -> Mapping[str, Setting]:
    """The settings of a component: its own, then those that all of its kind have.

    Raises TypeError where one has no annotation or no default.
    """
    common = getattr(component, "common_settings", None)
    return {**own_settings_of(component), **(own_settings_of(common) if common else {})}


@cache
def own_settings_of(component: Component) -> Mapping[str, Setting]:
    """A component's keyword-only arguments, in order; TypeError as in `settings_of`."""
    function = inspect.unwrap(component.__init__ if inspect.isclass(component) else component)
    hints = typing.get_type_hints(function, include_extras=True)
    settings = {}
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is not inspect.Parameter.KEYWORD_ONLY:
            continue
        if parameter.name not in hints or parameter.default is inspect.Parameter.empty:
            raise TypeError(
                f"setting `{parameter.name}` of {component!r} needs an annotation and a default"
            )
        settings[parameter.name] = Setting(parameter.name, hints[parameter.name], parameter.default)
    return settings


def first_sentence(component: Component) -> str:
    """What a component's docstring says first: its first paragraph, on one line."""
    text = inspect.unwrap(component).__doc__ or ""
    return " ".join(text.strip().split("\n\n")[0].split())


def dotted(path: Path) -> str:
    """`("sweep", 0, "fusion")` as `sweep[0].fusion`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text or "(top level)"


def nearest(name: object, names: Iterable[str]) -> str:
    """`; did you mean 'x'?` for the closest of `names`, or nothing."""
    matches = difflib.get_close_matches(str(name), list(names), n=1, cutoff=0.5)
    return f"; did you mean '{matches[0]}'?" if matches else ""


def listed(names: Iterable[str]) -> str:
    """The names for a message: `a, b, c`."""
    return ", ".join(names) or "none"


def check(annotation: Any, value: Any) -> tuple[Any, str | None]:
    """`value` as the annotated type, and what is wrong with it (None: nothing).

    Whole numbers are taken for floats; nothing else is converted.
    """
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _check_range(arguments[0], arguments[1:], value)
    if origin in (Union, types.UnionType):
        return _check_union(annotation, arguments, value)
    if origin is Literal:
        # By type too: True == 1 == 1.0.
        allowed = any(type(value) is type(a) and value == a for a in arguments)
        return value, None if allowed else _wrong(annotation, value)
    if origin is list:
        return _check_list(arguments[0], value)
    if origin is dict:
        return _check_mapping(arguments[1], value)
    if annotation is float and type(value) is int:
        return _check_finite(annotation, value)
    if type(value) is not annotation:
        return value, _wrong(annotation, value)
    return _check_finite(annotation, value) if annotation is float else (value, None)


def names_in(annotation: Any, value: Any) -> Iterator[tuple[str, Path, str]]:
    """Every word of `value` that the annotation says is a name: its kind, place and itself."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        for mark in arguments[1:]:
            if isinstance(mark, NameOf) and isinstance(value, str):
                yield mark.kind, (), value
    for part, key, inside in _inside(origin, arguments, value):
        for kind, path, name in names_in(part, inside):
            yield kind, (*key, *path), name


def _inside(origin: Any, arguments: tuple[Any, ...], value: Any) -> Iterator[tuple[Any, Path, Any]]:
    """The parts of a composed annotation, each with the place and the value it speaks of."""
    if origin is typing.Annotated:
        yield arguments[0], (), value
    elif origin in (Union, types.UnionType):
        yield from ((argument, (), value) for argument in arguments)
    elif origin is list and isinstance(value, list):
        yield from ((arguments[0], (i,), item) for i, item in enumerate(value))
    elif origin is dict and isinstance(value, dict):
        for key, item in value.items():
            yield arguments[0], (key,), key
            yield arguments[1], (key,), item


def describe_type(annotation: Any) -> str:
    """The annotation in words a suite's author reads."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return f"{describe_type(arguments[0])} {' and '.join(str(a) for a in arguments[1:])}"
    if origin in (Union, types.UnionType):
        return " or ".join(describe_type(a) for a in arguments)
    if origin is Literal:
        choices = listed(str(a) for a in arguments)
        return f"one of {choices}" if len(arguments) > 1 else f"the word {choices}"
    if origin is list:
        return f"a list of ({describe_type(arguments[0])})"
    if origin is dict:
        return f"a mapping of names to ({describe_type(arguments[1])})"
    words = {
        float: "a number",
        int: "a whole number",
        str: "a word",
        bool: "true or false",
        type(None): "null",
    }
    return words[annotation]


def found(value: object) -> str:
    """The value for a message, with its kind, cut to a readable length."""
    kinds = {
        bool: "",
        int: "the whole number ",
        float: "the number ",
        str: "the word ",
        list: "the list ",
        dict: "the mapping ",
        type(None): "",
    }
    text = "null" if value is None else str(value).lower() if isinstance(value, bool) else None
    if text is None:
        text = repr(value)
    text = text if len(text) <= 60 else text[:57] + "..."
    return kinds.get(type(value), "") + text


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:g}"


def _wrong(annotation: Any, value: object) -> str:
    return f"must be {describe_type(annotation)}; found {found(value)}"


def _check_finite(annotation: Any, value: float) -> tuple[float, str | None]:
    try:
        number = float(value)
    except OverflowError:
        return value, _wrong(annotation, value)
    return number, None if math.isfinite(number) else "must be finite; found " + found(value)


def _check_range(annotation: Any, ranges: tuple[Any, ...], value: Any) -> tuple[Any, str | None]:
    checked, problem = check(annotation, value)
    ranges = tuple(mark for mark in ranges if isinstance(mark, Range))
    if problem is None and any(checked not in bounds for bounds in ranges):
        text = f"{describe_type(annotation)} {' and '.join(str(bounds) for bounds in ranges)}"
        problem = f"must be {text}; found {found(value)}"
    return checked, problem


def _check_union(annotation: Any, arguments: tuple[Any, ...], value: Any) -> tuple[Any, str | None]:
    problems = []
    for argument in arguments:
        checked, problem = check(argument, value)
        if problem is None:
            return checked, None
        if argument is not type(None):
            problems.append(problem)
    # With one real alternative its own message is the more exact one.
    return value, problems[0] if len(problems) == 1 else _wrong(annotation, value)


def _check_list(annotation: Any, value: Any) -> tuple[Any, str | None]:
    if type(value) is not list:
        return value, _wrong(list[annotation], value)
    checked = [check(annotation, item) for item in value]
    wrong = next(((i, problem) for i, (_, problem) in enumerate(checked) if problem), None)
    if wrong is not None:
        return value, f"item {wrong[0]} {wrong[1]}"
    return [item for item, _ in checked], None


def _check_mapping(annotation: Any, value: Any) -> tuple[Any, str | None]:
    if type(value) is not dict:
        return value, _wrong(dict[str, annotation], value)
    checked = {key: check(annotation, item) for key, item in value.items()}
    for key, (_, problem) in checked.items():
        if problem is not None:
            return value, f"item '{key}' {problem}"
    return {key: item for key, (item, _) in checked.items()}, None
