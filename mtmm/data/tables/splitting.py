"""Which rows of a table are train, val and test."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtmm.data.tables.cells import shown
from mtmm.data.tables.spec import PARTS
from mtmm.settings import listed

Rows = Mapping[str, NDArray[np.int64]]


def split_rows(table: pd.DataFrame, split: Mapping[str, Any], problems: list[str]) -> Rows:
    """The rows of each part in ascending order; what is wrong goes to `problems`.

    By a column of the words train, val and test, or at random by shares; rows of one `group` are
    never in two parts.
    """
    if split["column"]:
        rows = _by_column(table, str(split["column"]), problems)
    else:
        rows = _at_random(table, split)
    problems += [f"{part} has no row" for part in PARTS if not len(rows[part])]
    if split["group"]:
        problems += _across(table, str(split["group"]), rows)
    return rows


def everywhere(table: pd.DataFrame) -> Rows:
    """All rows in every part: of a table whose split is wrong the cells can still be looked at."""
    return dict.fromkeys(PARTS, np.arange(len(table)))


def _by_column(table: pd.DataFrame, column: str, problems: list[str]) -> Rows:
    cells = table[column].map(lambda cell: "" if cell is None else cell.strip().lower())
    told = shown(table, column, ~cells.isin(PARTS).to_numpy())
    if told:
        problems.append(f"column '{column}' must hold {listed(PARTS)}; {told}")
    return {part: np.flatnonzero(cells == part) for part in PARTS}


def _at_random(table: pd.DataFrame, split: Mapping[str, Any]) -> Rows:
    if split["group"]:
        # A row without a group is one of its own.
        own = pd.Series([f"\0{i}" for i in range(len(table))], index=table.index)
        groups = pd.factorize(table[split["group"]].where(table[split["group"]].notna(), own))[0]
    else:
        groups = np.arange(len(table))
    random = np.random.RandomState(split["seed"])  # its streams are the same in every release
    order = random.permutation(groups.max() + 1)
    # Where each row comes when groups are lined up in that order.
    place = np.argsort(order)[groups]
    sizes = np.bincount(place)
    ends = np.cumsum(split["fractions"])[:2] * len(table)
    part = np.searchsorted(ends, np.cumsum(sizes) - sizes / 2)
    return {name: np.flatnonzero(part[place] == i) for i, name in enumerate(PARTS)}


def _across(table: pd.DataFrame, group: str, rows: Rows) -> list[str]:
    """Groups that lie in two parts, counted, with the first ones."""
    seen = {name: set(table[group].iloc[index].dropna()) for name, index in rows.items()}
    pairs = (("train", "val"), ("train", "test"), ("val", "test"))
    told = []
    for first, second in pairs:
        both = sorted(seen[first] & seen[second])
        if both:
            some = listed(map(repr, both[:3])) + (", ..." if len(both) > 3 else "")
            text = f"{len(both)} values of column '{group}' are in {first} and in {second}"
            told.append(f"{text}: {some}")
    return told
