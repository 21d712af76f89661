"""Reading a table: every cell as text, or missing."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd

from mtmm.data.tables.cells import visible
from mtmm.data.tables.files import no_file
from mtmm.settings import listed

MISSING = frozenset({"", "NA", "N/A", "#N/A", "<NA>", "NaN", "nan", "NULL", "null", "None"})
"""What programs write into a CSV file where they know nothing, without the space around it."""

_READERS = (".csv", ".tsv", ".parquet")
_MOST_SHOWN = 3


def read_table(path: Path) -> pd.DataFrame:
    """The table with every cell a `str`, or None where it is missing; ValueError otherwise."""
    if path.suffix.lower() not in _READERS:
        name = visible(path.name)
        raise ValueError(f"`file` must end in .csv, .tsv or .parquet; found {name}")
    wrong = no_file(path)
    if wrong is not None:
        raise ValueError(visible(f"`file`: {path} {wrong}"))
    try:
        return _read(path, path.stat().st_mtime_ns)
    except (OSError, ValueError) as error:
        raise ValueError(visible(f"`file`: {path} cannot be read: {error}")) from None


@lru_cache(maxsize=4)
def _read(path: Path, changed: int) -> pd.DataFrame:
    table = _parquet(path) if path.suffix.lower() == ".parquet" else _separated(path)
    if table.empty:
        raise ValueError("it has no row")
    return table


def _parquet(path: Path) -> pd.DataFrame:
    try:
        table = pd.read_parquet(path)
    except ImportError:
        text = "reading Parquet needs pyarrow: pip install 'mtmm-bench[parquet]'"
        raise ValueError(text) from None
    names = [str(name).strip() for name in table.columns]
    _raise_for(_twice(names))
    columns = (_as_text(table.iloc[:, i]) for i in range(len(names)))
    return pd.DataFrame(dict(zip(names, columns, strict=True)), dtype=object)


def _as_text(column: pd.Series[Any]) -> list[str | None]:
    there = column.notna()
    cells = (str(cell) if known else "" for cell, known in zip(column, there, strict=True))
    return [cell if cell.strip() else None for cell in cells]


def _separated(path: Path) -> pd.DataFrame:
    separator = "\t" if path.suffix.lower() == ".tsv" else ","
    header, *rows = _rows(_text(path.read_bytes()), separator) or [[]]
    names = [name.strip() for name in header]
    if not any(names):
        raise ValueError("its first line must hold the names of columns")
    _raise_for([*_twice(names), *_ragged(rows, len(names))])
    table = pd.DataFrame(
        [[None if cell.strip() in MISSING else cell for cell in row] for row in rows],
        columns=names,
        dtype=object,
    )
    return table.loc[:, [name != "" for name in names]]


def _text(content: bytes) -> str:
    if b"\0" in content and not content.startswith((b"\xff\xfe", b"\xfe\xff")):
        line = content[: content.index(b"\0")].count(b"\n") + 1
        raise ValueError(f"it is no text: {content.count(0):,} NUL bytes, the first in line {line}")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        text = f"it is not UTF-8: byte {content[error.start]:#04x} in line {line}"
        raise ValueError(f"{text}; save it as CSV in UTF-8") from None


def _rows(text: str, separator: str) -> list[list[str]]:
    # A cell may be as long as the file; the limit is one of the process.
    limit = csv.field_size_limit(max(1, len(text)))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        return [row for row in reader if row]
    except csv.Error as error:
        raise ValueError(f"line {reader.line_num}: {error}") from None
    finally:
        csv.field_size_limit(limit)


def _twice(names: Sequence[str]) -> Iterator[str]:
    twice = [name for name, count in Counter(names).items() if name and count > 1]
    if twice:
        yield f"columns of one name: {listed(map(repr, twice))}"


def _ragged(rows: Sequence[Sequence[str]], width: int) -> Iterator[str]:
    ragged = [(i + 2, len(row)) for i, row in enumerate(rows) if len(row) != width]
    if ragged:
        some = listed(f"row {row}: {count}" for row, count in ragged[:_MOST_SHOWN])
        more = ", ..." if len(ragged) > _MOST_SHOWN else ""
        yield f"{len(ragged):,} rows have not the {width} cells of the header ({some}{more})"


def _raise_for(problems: Sequence[str] | Iterator[str]) -> None:
    told = "; ".join(problems)
    if told:
        raise ValueError(told)
