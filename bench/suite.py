"""A suite file, read and checked for shape; what its values mean is checked while planning."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path as FilePath
from typing import Annotated, Any, Literal

from bench.document import MAX_BYTES, Document, DocumentError, parse, plain
from bench.errors import InputError
from bench.variant import KEYS, resolve_variant
from mtmm.registry import resolve_settings
from mtmm.settings import (
    ConfigError,
    Path,
    Problem,
    Range,
    check,
    dotted,
    found,
    listed,
    nearest,
)

SHORT = {"encoders": "model", "fusion": "model", "sharing": "model"}
"""Keys that may be written without the one in front."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_TOP = ("name", "question", *KEYS, *SHORT, "sweep", "seeds", "baseline", "timing")
_MAX_SEEDS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One swept setting: where it belongs, its values, and where they stand in the file."""

    target: Path
    values: tuple[Any, ...]
    source: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """What is timed: every batch size in every mode; `budget_s` seconds for each such block."""

    batch_sizes: tuple[int, ...]
    modes: tuple[str, ...]
    budget_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """A suite: a base, blocks of axes to sweep over it, seeds and a baseline."""

    name: str
    question: str
    base: Mapping[str, Any]
    sweep: tuple[tuple[Axis, ...], ...]
    seeds: tuple[int, ...]
    baseline: tuple[Axis, ...]
    timing: Timing | None
    document: Document
    sources: Mapping[Path, Path]
    """Where a part of the base stands in the file, for parts written in their short form."""

    def placed(self, problem: Problem) -> Problem:
        """A problem of the base, at the place in the file that it comes from."""
        for target, source in self.sources.items():
            if problem.path[: len(target)] == target:
                return Problem((*source, *problem.path[len(target) :]), problem.message)
        return problem


class SuiteError(InputError):
    """Everything that is wrong with a suite, each with its file and line."""

    def __init__(self, document: Document, problems: Sequence[Problem]) -> None:
        lines = sorted({(document.line(p.path), dotted(p.path), p.message) for p in problems})
        told = (_printable(f"{document.file}:{n}: {at}: {text}") for n, at, text in lines)
        super().__init__("\n".join(told))


def load_suite(source: str | FilePath | Mapping[str, Any]) -> Suite:
    """Read a suite from a file or from a mapping of the same shape.

    Raises InputError where the file is missing or cannot be read, SuiteError (an InputError) with
    everything that is wrong with its shape.
    """
    if isinstance(source, Mapping):
        document = Document("<suite>", None, {})
        try:
            return build_suite(replace(document, value=plain(source)))
        except ConfigError as error:
            raise SuiteError(document, error.problems) from None
    try:
        return build_suite(parse(_read(source), str(source)))
    except DocumentError as error:
        text = f"{error.file}:{error.line}: {error.problems[0].message}"
        raise InputError(_printable(text)) from None


def build_suite(document: Document) -> Suite:
    """The suite in a parsed document."""
    problems: list[Problem] = []
    value = document.value
    if not isinstance(value, dict):
        text = f"a suite is a mapping with `name` and `dataset`; found {found(value)}"
        raise SuiteError(document, [Problem((), text)])
    for key in value:
        if key not in _TOP:
            text = f"unknown key '{key}'{nearest(key, _TOP)} (there are: {listed(_TOP)})"
            problems.append(Problem((key,), text))
    base, sources = _base(value, problems)
    suite = Suite(
        name=_name(value, problems),
        question=_word(value, "question", problems),
        base=base,
        sweep=_sweep(value.get("sweep", []), problems),
        seeds=_seeds(value.get("seeds", 1), problems),
        baseline=_overrides(value.get("baseline", {}), problems),
        timing=_timing(value.get("timing", {}), problems),
        document=document,
        sources=sources,
    )
    if problems:
        # What the base means is told with its shape: one run of the command shows both.
        of_base: list[Problem] = []
        resolve_variant(base, of_base)
        raise SuiteError(document, problems + [suite.placed(problem) for problem in of_base])
    return suite


def target_of(key: str) -> Path:
    """Where a key of the base or of an axis belongs: `fusion` is `model.fusion`."""
    parts = tuple(key.split("."))
    return (SHORT[parts[0]], *parts) if parts[0] in SHORT else parts


def put(config: dict[str, Any], target: Path, value: Any) -> None:
    """Set the value at `target`; a component given by its name becomes a mapping on the way.

    Raises ValueError where something on the way is no component and no mapping.
    """
    *parents, last = target
    for i, part in enumerate(parents):
        inner = config.get(str(part), {})
        if not isinstance(inner, str | dict):
            inside = dotted(target[: i + 1])
            raise ValueError(f"nothing can be set inside '{inside}'; it is {found(inner)}")
        config[str(part)] = config = {"name": inner} if isinstance(inner, str) else dict(inner)
    config[str(last)] = deepcopy(value)


def _read(source: str | FilePath) -> str:
    try:
        with FilePath(source).open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"{source}: cannot be read: {error.strerror}{_similar(source)}") from None
    try:
        # A file that was cut in the middle of a character is refused for its size.
        return data.decode("utf-8", errors="replace" if len(data) > MAX_BYTES else "strict")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        byte = f"byte 0x{data[error.start]:02x} is not UTF-8"
        raise InputError(f"{source}:{line}: not a text file: {byte}") from None


def _printable(text: str) -> str:
    # A message is one line, whatever a key of the file holds.
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _similar(source: str | FilePath) -> str:
    path = FilePath(source)
    names = [p.name for p in path.parent.glob("*.yaml")] if path.parent.is_dir() else []
    return nearest(path.name, names)


def _base(
    value: Mapping[str, Any], problems: list[Problem]
) -> tuple[dict[str, Any], dict[Path, Path]]:
    base: dict[str, Any] = {key: deepcopy(value[key]) for key in KEYS if key in value}
    sources: dict[Path, Path] = {}
    for key in SHORT:
        if key not in value:
            continue
        target = target_of(key)
        model = base.setdefault(str(target[0]), {})
        if not isinstance(model, dict):
            continue  # told where the variant is resolved
        if key in model:
            problems.append(Problem((key,), f"'{key}' is here and under `model`: keep one"))
        put(base, target, value[key])
        sources[target] = (key,)
    return base, sources


def _name(value: Mapping[str, Any], problems: list[Problem]) -> str:
    name = value.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name) or ".." in name:
        text = (
            "a suite needs `name`: 1 to 100 letters, digits, '-', '_' or '.', the first a letter "
            f"or digit, no '..'; found {found(name)}"
        )
        problems.append(Problem(("name",), text))
        return ""
    if name in ("cells", "environments", "reference"):
        problems.append(
            Problem(("name",), f"'{name}' is a folder of the results; take another name")
        )
    return name


def _word(value: Mapping[str, Any], key: str, problems: list[Problem]) -> str:
    word, wrong = check(str, value.get(key, ""))
    if wrong is not None:
        problems.append(Problem((key,), wrong))
    return str(word)


def _sweep(value: object, problems: list[Problem]) -> tuple[tuple[Axis, ...], ...]:
    if not isinstance(value, list):
        problems.append(Problem(("sweep",), f"must be a list of blocks; found {found(value)}"))
        return ()
    return tuple(_block(block, ("sweep", i), problems) for i, block in enumerate(value))


def _block(block: object, path: Path, problems: list[Problem]) -> tuple[Axis, ...]:
    if not isinstance(block, dict) or not block:
        text = f"a block maps settings to lists of values; found {found(block)}"
        problems.append(Problem(path, text))
        return ()
    axes = []
    for key, values in block.items():
        place = (*path, key)
        if not _known(key, place, problems):
            continue
        if not isinstance(values, list) or not values:
            text = f"an axis is a list of one or more values; found {found(values)}"
            problems.append(Problem(place, text))
            continue
        axes.append(Axis(target=target_of(key), values=tuple(values), source=place))
    _refuse_twice(axes, path, problems)
    return tuple(axes)


def _refuse_twice(axes: Sequence[Axis], path: Path, problems: list[Problem]) -> None:
    for i, axis in enumerate(axes):
        if any(axis.target == other.target for other in axes[:i]):
            text = f"'{dotted(axis.target)}' is swept twice in this block"
            problems.append(Problem((*path, axis.source[-1]), text))


def _overrides(value: object, problems: list[Problem]) -> tuple[Axis, ...]:
    if not isinstance(value, dict):
        text = f"must map settings to values, such as {{fusion: concat}}; found {found(value)}"
        problems.append(Problem(("baseline",), text))
        return ()
    return tuple(
        Axis(target=target_of(key), values=(item,), source=("baseline", key))
        for key, item in value.items()
        if _known(key, ("baseline", key), problems)
    )


def _known(key: str, place: Path, problems: list[Problem]) -> bool:
    names = (*KEYS, *SHORT)
    first = key.split(".")[0]
    if first in names and all(key.split(".")):
        return True
    text = (
        f"unknown setting '{key}'{nearest(first, names)} (it starts with one of: {listed(names)})"
    )
    problems.append(Problem(place, text))
    return False


def _seeds(value: object, problems: list[Problem]) -> tuple[int, ...]:
    if isinstance(value, list):
        seeds, wrong = check(list[Annotated[int, Range(low=0, high=2**63 - 1)]], value)
        if wrong is None and (not value or len(set(seeds)) < len(seeds)):
            wrong = f"must name at least one seed, and none twice; found {found(value)}"
    else:
        count, wrong = check(Annotated[int, Range(low=1, high=_MAX_SEEDS)], value)
        seeds = range(count if wrong is None else 0)
        if wrong is not None:
            wrong += " (the number of seeds, or a list of seeds)"
    if wrong is not None:
        problems.append(Problem(("seeds",), wrong))
        return ()
    return tuple(seeds)


def timing_settings(
    *,
    batch_sizes: list[Annotated[int, Range(low=1)]] | None = None,
    modes: list[Literal["train", "inference"]] | None = None,
    budget_s: Annotated[float, Range(above=0)] = 60.0,
) -> None:
    """The settings of `timing:`; without `batch_sizes` it is the base's training batch size."""


def _timing(value: object, problems: list[Problem]) -> Timing | None:
    if value == "off":
        return None
    if not isinstance(value, dict):
        text = f"must be a mapping or the word off; found {found(value)}"
        problems.append(Problem(("timing",), text))
        return None
    before = len(problems)
    settings = resolve_settings("timing", timing_settings, value, ("timing",), problems)
    for key in ("batch_sizes", "modes"):
        values = settings[key]
        if isinstance(values, list) and (not values or any(values.count(v) > 1 for v in values)):
            text = f"must name one or more, and none twice; found {found(values)}"
            problems.append(Problem(("timing", key), text))
    if len(problems) > before:
        return None
    return Timing(
        batch_sizes=tuple(settings["batch_sizes"] or ()),
        modes=tuple(settings["modes"] or ("train", "inference")),
        budget_s=settings["budget_s"],
    )
