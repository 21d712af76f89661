"""A task of a table: what it will be, and its labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtmm.data.tables.cells import classes, flags, numbers
from mtmm.data.tables.spec import PARTS, Part
from mtmm.data.tables.splitting import Rows
from mtmm.spec import Task


@dataclass(frozen=True, slots=True)
class Target:
    """A task, its targets of all rows, which there are `[N]`, and what its classes are called."""

    task: Task
    values: Tensor
    labelled: Tensor
    classes: tuple[str, ...] = ()


def read_target(part: Part, table: pd.DataFrame, rows: Rows, problems: list[str]) -> Target | None:
    """The target; None where something is wrong with it, which goes to `problems`."""
    before = len(problems)
    made = _READERS[part.kind](part, table, rows, problems)
    if len(problems) > before:
        return None
    for split in PARTS:
        index = torch.from_numpy(rows[split])
        if len(index) and not made.labelled[index].any():
            problems.append(f"task '{part.name}' has no label in {split}")
    return made


def _classes(part: Part, table: pd.DataFrame, rows: Rows, problems: list[str]) -> Target:
    order = [word for word in part.settings.get("order", []) if word]
    owner = f"task '{part.name}'"
    names, index = classes(owner, table, part.columns[0], rows, order, problems)
    task = Task(name=part.name, kind=part.kind, classes=len(names))
    return Target(task, torch.from_numpy(index), torch.from_numpy(index >= 0), tuple(names))


def _labels(part: Part, table: pd.DataFrame, rows: Rows, problems: list[str]) -> Target:
    columns = [flags(table, column, problems) for column in part.columns]
    values = torch.from_numpy(np.stack(columns, axis=1))
    task = Task(name=part.name, kind=part.kind, classes=len(columns))
    return Target(task, values, (values >= 0).any(1), part.columns)


def _number(part: Part, table: pd.DataFrame, rows: Rows, problems: list[str]) -> Target:
    values: NDArray[np.float64] = numbers(table, part.columns[0], problems)
    known = values[rows["train"]]
    known = known[~np.isnan(known)]
    offset, scale = (float(known.mean()), float(known.std())) if len(known) else (0.0, 1.0)
    task = Task(name=part.name, kind=part.kind, offset=offset, scale=scale or 1.0)
    target = torch.from_numpy(values.astype(np.float32))
    return Target(task, target, torch.from_numpy(~np.isnan(values)))


_READERS: Mapping[str, Callable[[Part, pd.DataFrame, Rows, list[str]], Target]] = {
    "classification": _classes,
    "multilabel": _labels,
    "ordinal": _classes,
    "regression": _number,
}
