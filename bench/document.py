"""YAML to plain values, with the line of every key and item.

Scalars follow the YAML 1.2 core schema: `1e-3` is a number, `off` a word. Tags, anchors, aliases,
duplicate keys, keys that are not words and whole numbers beyond 64 bits are refused: a suite is
data.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from yaml.events import (
    AliasEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from mtmm.settings import ConfigError, Path, Problem, found

MAX_BYTES = 1_000_000
MAX_DEPTH = 32

_NULL = re.compile(r"null|Null|NULL|~|")
_TRUE = re.compile(r"true|True|TRUE")
_FALSE = re.compile(r"false|False|FALSE")
_INT = re.compile(r"[-+]?[0-9]+")
_OCTAL_OR_HEX = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INFINITE = re.compile(r"([-+]?)\.(inf|Inf|INF)")
_NAN = re.compile(r"\.(nan|NaN|NAN)")

_TOO_LARGE = "a whole number of this size does not fit into 64 bits"


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed file: its value, and the line (from 1) of each key and item by its path."""

    file: str
    value: Any
    lines: dict[Path, int]

    def line(self, path: Path) -> int:
        """The line of `path`, or of the nearest thing around it that is in the file."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


class DocumentError(ConfigError):
    """A file that cannot be read as a suite: the first thing that is wrong, and its line."""

    def __init__(self, file: str, line: int, message: str) -> None:
        self.file, self.line = file, line
        super().__init__([Problem((), message)])


def parse(text: str, file: str) -> Document:
    """The document in `text`; raises DocumentError at the first thing that is wrong."""
    if len(text) > MAX_BYTES:
        raise DocumentError(
            file, 1, f"a suite has at most {MAX_BYTES:,} characters; this one has more"
        )
    lines: dict[Path, int] = {}
    try:
        events = yaml.parse(text, Loader=yaml.SafeLoader)
        stream = (e for e in events if not type(e).__name__.startswith(("Stream", "Document")))
        first = next(stream, None)
        value = None if first is None else _Builder(file, stream, lines).build(first, ())
        extra = next(stream, None)
    except yaml.YAMLError as error:
        raise _readable(file, text, error) from None
    except (OverflowError, ValueError) as error:
        if isinstance(error, DocumentError):
            raise
        # PyYAML turns escapes such as "\UFFFFFFFF" into characters without a look at their range.
        line = max(lines.values(), default=1)
        raise DocumentError(file, line, f"cannot be read as YAML: {error}") from None
    if extra is not None:
        raise DocumentError(
            file, _line(extra), "a suite is one YAML document; a second starts here"
        )
    return Document(file, value, lines)


def plain(value: object, path: Path = ()) -> Any:
    """A copy of a value made in Python, held to what a file may say; tuples become lists.

    Raises ConfigError at the first thing that is not plain data.
    """
    if len(path) > MAX_DEPTH:
        raise ConfigError([Problem(path, f"nested deeper than {MAX_DEPTH} levels")])
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str) or not key:
                raise ConfigError([Problem(path, f"a key must be a word; found {found(key)}")])
        return {key: plain(item, (*path, key)) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, (*path, i)) for i, item in enumerate(value)]
    if type(value) not in (str, int, float, bool, type(None)):
        text = f"must be plain data; found {type(value).__name__} {found(value)}"
        raise ConfigError([Problem(path, text)])
    if wrong := _unfit(value):
        raise ConfigError([Problem(path, wrong)])
    return value


def scalar(text: str) -> Any:
    """The value of an unquoted scalar by the YAML 1.2 core schema.

    Raises ValueError for a whole number of more digits than Python reads.
    """
    if _NULL.fullmatch(text):
        return None
    if _TRUE.fullmatch(text) or _FALSE.fullmatch(text):
        return bool(_TRUE.fullmatch(text))
    if _INT.fullmatch(text):
        return int(text)
    if _OCTAL_OR_HEX.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text):
        return float(text)
    if infinite := _INFINITE.fullmatch(text):
        return float(infinite[1] + "inf")
    return float("nan") if _NAN.fullmatch(text) else text


class _Builder:
    """Values out of parser events, noting lines on the way."""

    def __init__(self, file: str, events: Iterator[Event], lines: dict[Path, int]) -> None:
        self.file, self.events, self.lines = file, events, lines

    def build(self, event: Event, path: Path) -> Any:
        self._refuse(event, path)
        self.lines.setdefault(path, _line(event))
        if isinstance(event, MappingStartEvent):
            return self._mapping(path)
        if isinstance(event, SequenceStartEvent):
            return self._sequence(path)
        assert isinstance(event, ScalarEvent)
        return self._scalar(event)

    def _scalar(self, event: ScalarEvent) -> Any:
        try:
            value = scalar(event.value) if event.style is None else event.value
        except ValueError:
            raise self._error(event, _TOO_LARGE) from None
        if wrong := _unfit(value):
            raise self._error(event, wrong)
        return value

    def _mapping(self, path: Path) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        while not isinstance(event := next(self.events), MappingEndEvent):
            self._refuse(event, path)
            if not isinstance(event, ScalarEvent) or not event.value:
                raise self._error(event, "a key must be a word")
            key = event.value
            if wrong := _unfit(key):
                raise self._error(event, wrong)
            if key in mapping:
                first = self.lines[(*path, key)]
                raise self._error(event, f"key '{key}' is here twice (first in line {first})")
            self.lines[(*path, key)] = _line(event)
            mapping[key] = self.build(next(self.events), (*path, key))
        return mapping

    def _sequence(self, path: Path) -> list[Any]:
        items: list[Any] = []
        while not isinstance(event := next(self.events), SequenceEndEvent):
            items.append(self.build(event, (*path, len(items))))
        return items

    def _refuse(self, event: Event, path: Path) -> None:
        if isinstance(event, AliasEvent) or getattr(event, "anchor", None):
            raise self._error(event, "anchors and aliases (& and *) are not part of a suite")
        tag = getattr(event, "tag", None)
        if tag is not None:
            raise self._error(event, f"tags are not part of a suite; found {tag!r}")
        if len(path) > MAX_DEPTH:
            raise self._error(event, f"nested deeper than {MAX_DEPTH} levels")

    def _error(self, event: Event, message: str) -> DocumentError:
        return DocumentError(self.file, _line(event), message)


def _unfit(value: object) -> str | None:
    """What keeps a scalar from being written into a record, if anything does."""
    if isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value):
        return "half a surrogate pair is no text"
    return _TOO_LARGE if isinstance(value, int) and not -(2**63) <= value < 2**63 else None


def _line(event: Event) -> int:
    assert event.start_mark is not None
    return int(event.start_mark.line) + 1


def _readable(file: str, text: str, error: yaml.YAMLError) -> DocumentError:
    if isinstance(error, yaml.reader.ReaderError):
        line = text.count("\n", 0, error.position) + 1
        return DocumentError(file, line, f"not a text file: character U+{error.character:04X}")
    problem, start, mark = (
        getattr(error, name, None) for name in ("problem", "context_mark", "problem_mark")
    )
    problem = problem or "not YAML"
    place = mark or start
    line = place.line + 1 if place else 1
    if "\\t" in problem:
        problem = "a tab where YAML allows only spaces"
    elif start and start.line + 1 != line:
        context = getattr(error, "context", None)
        problem += f" ({context} that starts in line {start.line + 1})"
    return DocumentError(file, line, f"cannot be read as YAML: {problem}")
