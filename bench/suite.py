"""A suite file, read and checked for shape; what its values mean is checked while planning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path as FilePath
from typing import Any

from bench import conditions, sections, sweeps
from bench.conditions import Exclusion, Family
from bench.document import MAX_BYTES, Document, DocumentError, parse, plain
from bench.errors import InputError
from bench.overrides import SHORT, Block, Choice, put, target_of
from bench.searches import Search, read_search
from bench.sections import Timing
from bench.sweeps import Removal
from bench.variant import KEYS, with_defaults
from mtmm.settings import ConfigError, Path, Problem, dotted, found, nearest

SECTIONS = (
    "name",
    "question",
    *KEYS,
    *SHORT,
    "sweep",
    "ablate",
    "exclude",
    "seeds",
    "baseline",
    "family",
    "timing",
    "search",
    "single_task",
    "max_params",
    "max_memory_mib",
)
"""The keys of a suite."""

MAX_PARAMS = 10**9
"""What `max_params` is where a suite does not say: 4 GB of weights, 16 GB with Adam's state."""

MAX_MEMORY_MIB = 16_384
"""What `max_memory_mib` is where a suite does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """A suite: a base, what is varied over it, seeds and a baseline."""

    name: str
    question: str
    base: Mapping[str, Any]
    sweep: tuple[Block, ...]
    replacements: tuple[Choice, ...]
    """Ablations that replace a component or a setting of the base."""
    removals: tuple[Removal, ...]
    """Ablations that leave out a modality or a task of the base."""
    exclusions: tuple[Exclusion, ...]
    seeds: tuple[int, ...]
    baseline: Choice
    family: Family
    timing: Timing | None
    search: Search | None
    single_task: str
    max_params: int
    max_memory_mib: int
    smoke: bool
    """Whether variants are cut down to a few steps on little data (`bench.smoke`)."""
    document: Document
    sources: Mapping[Path, Path]
    """Where a part stands in the file, or on the command line, if not under its own path."""
    problems: tuple[Problem, ...]
    """What is wrong with its shape: told when it is planned, with what is wrong with the rest."""

    def placed(self, problem: Problem) -> Problem:
        """A problem of the base, at the place in the file that it comes from."""
        return _placed(problem, self.sources)


@dataclass(frozen=True, slots=True)
class Given:
    """A setting given beside the file: the option as it was typed, the key and the value."""

    option: str
    key: str
    value: Any


class SuiteError(InputError):
    """Everything that is wrong with a suite, each with its file and line."""

    def __init__(self, document: Document, problems: Sequence[Problem]) -> None:
        lines = sorted({(*_place(document, p.path), p.message) for p in problems})
        told = (_printable(f"{place}: {at}: {text}") for _, place, at, text in lines)
        super().__init__("\n".join(told))


def load_suite(source: str | FilePath | Mapping[str, Any], given: Sequence[Given] = ()) -> Suite:
    """Read a suite from a file or from a mapping of the same shape; `given` overrules it.

    What is wrong with its shape is in its `problems`. Raises InputError where the file is missing,
    cannot be read or holds no mapping.
    """
    if isinstance(source, Mapping):
        document = Document("<suite>", None, {})
        try:
            return build_suite(replace(document, value=plain(source)), given)
        except ConfigError as error:
            raise SuiteError(document, error.problems) from None
    try:
        return build_suite(parse(_read(source), str(source)), given)
    except DocumentError as error:
        text = f"{error.file}:{error.line}: {error.problems[0].message}"
        raise InputError(_printable(text)) from None


def parse_given(option: str, text: str) -> Given:
    """The setting in a `path=value`, typed as `option`; the value is written as in a suite.

    Raises InputError.
    """
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise InputError(f"{_printable(option)}: must be path=value, such as train.epochs=3")
    try:
        return Given(option, key.strip(), parse(value, option).value)
    except DocumentError as error:
        raise InputError(_printable(f"{option}: {error.problems[0].message}")) from None


def build_suite(document: Document, given: Sequence[Given] = ()) -> Suite:
    """The suite in a parsed document."""
    problems: list[Problem] = []
    if not isinstance(document.value, dict):
        text = f"a suite is a mapping with `name` and `dataset`; found {found(document.value)}"
        raise SuiteError(document, [Problem((), text)])
    value: dict[str, Any] = dict(document.value)
    sections.unknown_keys(value, SECTIONS, problems)
    base, sources = _base(value, problems)
    if given:
        base = with_defaults(base)
    # A component before its settings, whichever was typed first.
    for setting in sorted(given, key=lambda setting: len(target_of(setting.key))):
        _give(setting, value, base, sources, problems)
    replacements, removals = sweeps.ablate(value.get("ablate", {}), problems)
    return Suite(
        name=sections.name(value.get("name"), problems),
        question=sections.word(value.get("question", ""), ("question",), problems),
        base=base,
        sweep=sweeps.sweep(value.get("sweep", []), problems),
        replacements=replacements,
        removals=removals,
        exclusions=conditions.exclude(value.get("exclude", []), problems),
        seeds=sections.seeds(value.get("seeds", 1), problems),
        baseline=sweeps.overrides(value.get("baseline", {}), ("baseline",), problems),
        family=conditions.family(value.get("family", {}), problems),
        timing=sections.timing(value.get("timing", {}), problems),
        search=read_search(value.get("search"), problems),
        single_task=sections.single_task(value.get("single_task", "auto"), problems),
        max_params=sections.limit("max_params", value.get("max_params", MAX_PARAMS), problems),
        max_memory_mib=sections.limit(
            "max_memory_mib", value.get("max_memory_mib", MAX_MEMORY_MIB), problems
        ),
        smoke=False,
        document=document,
        sources=sources,
        problems=tuple(_placed(problem, sources) for problem in problems),
    )


class _Option(str):
    """The first part of the path of what was given beside the file."""


def _base(
    value: Mapping[str, Any], problems: list[Problem]
) -> tuple[dict[str, Any], dict[Path, Path]]:
    base: dict[str, Any] = {key: value[key] for key in KEYS if key in value}
    sources: dict[Path, Path] = {}
    for key in SHORT:
        if key not in value:
            continue
        target = target_of(key)
        model = base.get("model", {})
        if not isinstance(model, dict):
            continue  # told where the variant is resolved
        if key in model:
            problems.append(Problem((key,), f"'{key}' is here and under `model`: keep one"))
        put(base, target, value[key])
        sources[target] = (key,)
    return base, sources


def _give(
    setting: Given,
    value: dict[str, Any],
    base: dict[str, Any],
    sources: dict[Path, Path],
    problems: list[Problem],
) -> None:
    """Let a given setting overrule the file; problems with it are told with its option."""
    first, _, rest = setting.key.partition(".")
    place: Path = (_Option(setting.option), setting.key)
    if first not in SECTIONS or (rest and not all(rest.split("."))):
        text = f"unknown setting '{setting.key}'{nearest(first, SECTIONS)}"
        problems.append(Problem(place, text))
    elif first in KEYS or first in SHORT:
        target = target_of(setting.key)
        try:
            put(base, target, setting.value)
        except ValueError as error:
            problems.append(Problem(place, str(error)))
        sources[target] = place
    elif rest:
        section = value.get(first)
        others = section if isinstance(section, dict) else {}
        target = target_of(rest)
        kept = {key: item for key, item in others.items() if target_of(str(key)) != target}
        value[first] = {**kept, rest: setting.value}
        sources[first, rest] = place
    else:
        value[first] = setting.value
        sources[first,] = place


def _placed(problem: Problem, sources: Mapping[Path, Path]) -> Problem:
    for target in sorted(sources, key=len, reverse=True):
        source = sources[target]
        shared = min(len(target), len(problem.path))
        # What was given by an option is to blame for what it is in, too.
        inside = problem.path[: len(target)] == target
        around = isinstance(source[0], _Option) and problem.path[:shared] == target[:shared]
        if inside or (around and problem.path):
            return replace(problem, path=(*source, *problem.path[len(target) :]))
    return problem


def _place(document: Document, path: Path) -> tuple[int, str, str]:
    """Where a problem is: a number to sort by, the place, and the path of the key."""
    if path and isinstance(path[0], _Option):
        return 0, path[0], dotted(path[1:])
    line = document.line(path)
    return line, f"{document.file}:{line}", dotted(path)


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
