"""Reading a table: every cell as text, or missing."""

from __future__ import annotations

import csv
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd

_READERS = (".csv", ".tsv", ".parquet")


def read_table(path: Path) -> pd.DataFrame:
    """The table with every cell a `str`, or None where it is missing; ValueError otherwise."""
    if path.suffix.lower() not in _READERS:
        raise ValueError(f"`file` must end in .csv, .tsv or .parquet; found {path.name}")
    try:
        return _read(path, path.stat().st_mtime_ns)
    except FileNotFoundError:
        raise ValueError(f"`file`: {path} is not there") from None
    except (OSError, UnicodeError, csv.Error, pd.errors.ParserError, ValueError) as error:
        raise ValueError(f"`file`: {path} cannot be read: {error}") from None


@lru_cache(maxsize=4)
def _read(path: Path, changed: int) -> pd.DataFrame:
    if path.suffix.lower() == ".parquet":
        try:
            table = pd.read_parquet(path)
        except ImportError:
            text = "reading Parquet needs pyarrow: pip install 'mtmm-bench[parquet]'"
            raise ValueError(text) from None
        cells = {name: _as_text(table[name]) for name in table.columns}
        table = pd.DataFrame(cells, dtype=object)
    else:
        separator = "\t" if path.suffix.lower() == ".tsv" else ","
        table = pd.read_csv(path, sep=separator, dtype=str, encoding="utf-8-sig")
        table = table.astype(object).where(table.notna(), None)
    if table.empty:
        raise ValueError("it has no row")
    twice = table.columns[table.columns.duplicated()].tolist()
    if twice:
        raise ValueError(f"column '{twice[0]}' is there twice")
    return table.rename(columns=lambda name: str(name).strip())


def _as_text(column: pd.Series[Any]) -> list[str | None]:
    there = column.notna()
    return [str(cell) if known else None for cell, known in zip(column, there, strict=True)]
