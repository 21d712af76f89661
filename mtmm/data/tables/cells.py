"""What the cells of a column hold, as arrays; what they must not hold is counted and shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtmm.settings import listed

MOST_SHOWN = 3
MOST_CLASSES = 1000
LARGEST = float(np.finfo(np.float32).max)
"""More is infinite in single precision."""


def numbers(table: pd.DataFrame, column: str, problems: list[str]) -> NDArray[np.float64]:
    """The numbers of a column `[N]`, NaN where missing."""
    cells = table[column]
    values = pd.to_numeric(cells, errors="coerce").to_numpy(np.float64)
    strange = cells.notna().to_numpy() & ~(np.abs(values) <= LARGEST)
    told = shown(table, column, strange)
    if told:
        problems.append(f"column '{column}' must hold finite numbers as 1234.5; {told}")
    return np.asarray(np.where(strange, np.nan, values))


def classes(
    owner: str,
    table: pd.DataFrame,
    column: str,
    rows: Mapping[str, NDArray[np.int64]],
    order: Sequence[str],
    problems: list[str],
) -> tuple[list[str], NDArray[np.int64]]:
    """The classes of a column and the index `[N]` of each cell, -1 where missing.

    In the `order` given; else numbers by size and words by letter. Each must occur in train, two or
    more in all.
    """
    cells = table[column].map(lambda cell: cell if cell is None else cell.strip())
    there = sorted(set(cells.dropna()), key=_by_size)
    names = list(order) or there
    if order:
        strange = cells.notna().to_numpy() & ~cells.isin(names).to_numpy()
        told = shown(table, column, strange)
        if told:
            problems.append(f"column '{column}' must hold one of {listed(names)}; {told}")
    if not 2 <= len(names) <= MOST_CLASSES:
        text = f"{owner} must have 2 to {MOST_CLASSES} classes in column '{column}'"
        problems.append(f"{text}; found {len(names)}")
        return names, np.full(len(table), -1)
    place = {name: i for i, name in enumerate(names)}
    index = np.array([place.get(cell, -1) for cell in cells])
    known = set(index[rows["train"]].tolist())
    empty = [name for i, name in enumerate(names) if i not in known]
    if empty and len(rows["train"]):
        text = f"{owner} has {len(empty)} classes of column '{column}' without a row in train"
        problems.append(f"{text}: {_some(empty)}")
    return names, index


def flags(table: pd.DataFrame, column: str, problems: list[str]) -> NDArray[np.int64]:
    """Having a label or not: 1 or 0 of each cell `[N]`, -1 where missing."""
    words = {"1": 1, "0": 0, "1.0": 1, "0.0": 0, "true": 1, "false": 0, "yes": 1, "no": 0}
    cells = table[column].map(lambda cell: cell if cell is None else cell.strip().lower())
    index = np.array([words.get(cell, -1) for cell in cells])
    told = shown(table, column, cells.notna().to_numpy() & (index < 0))
    if told:
        problems.append(f"column '{column}' must hold 1 or 0, true or false; {told}")
    return index


def shown(
    table: pd.DataFrame,
    column: str,
    strange: NDArray[np.bool_],
    why: Callable[[int], str] = lambda row: "",
) -> str:
    """How many cells are strange, and the first ones with their rows (2 is the first below the
    header); empty where none is.
    """
    rows = np.flatnonzero(strange)
    if not len(rows):
        return ""
    first = (f"row {row + 2}: {_cut(table[column].iloc[row])}{why(int(row))}" for row in rows)
    some = [text for _, text in zip(range(MOST_SHOWN), first, strict=False)]
    more = ", ..." if len(rows) > MOST_SHOWN else ""
    return f"found {len(rows)} others ({', '.join(some)}{more})"


def visible(text: str) -> str:
    """The text with line breaks and all that a terminal would obey written out as escapes."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _by_size(name: str) -> tuple[int, float, str]:
    try:
        return 0, float(name), name
    except ValueError:
        return 1, 0.0, name


def _some(names: Sequence[str]) -> str:
    return listed(map(_cut, names[:MOST_SHOWN])) + (", ..." if len(names) > MOST_SHOWN else "")


def _cut(cell: object) -> str:
    text = repr(cell)
    return text if len(text) <= 40 else f"{text[:37]}..."
