"""What the columns of a search are: which way is better, and their values in records."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from bench.goals import COSTS, is_of_val
from bench.planning import Variant
from bench.searches import Search
from bench.variant import description_of
from mtmm.heads.judging import objectives
from mtmm.settings import Problem, listed, nearest

Config = Mapping[str, Any]


def larger_is_better(column: str, arm: Config) -> bool:
    """The direction of a column."""
    if column in COSTS:
        return column == "samples_per_s"
    if column == "val.score":
        return True
    _, task, metric = column.split(".")
    judged = objectives(description_of(arm).tasks, arm["model"].get("heads"))
    return judged[task].metrics[metric].higher_is_better


def of_val(point: Mapping[str, Any], column: str) -> float:
    """A column of val, of what is known after an epoch: `val_score` and `val`; else NaN."""
    if column == "val.score":
        value = point["val_score"]
    else:
        _, task, metric = column.split(".")
        value = point["val"].get(task, {}).get(metric)
    return math.nan if value is None else float(value)


def value_of(
    column: str, trained: Sequence[Mapping[str, Any]], timed: Mapping[str, float]
) -> float:
    """A column of a trial: the mean over its train records, or what was timed; else NaN."""
    if not is_of_val(column) and column != "params":
        return timed.get(column, math.nan)
    if column == "params":
        values = [float(record["params"]) for record in trained]
    else:
        scored = ({"val_score": one["scores"]["val"], "val": one["val"]} for one in trained)
        values = [of_val(point, column) for point in scored]
    return sum(values) / len(values)


def unknown_columns(search: Search, arms: Sequence[Variant]) -> list[Problem]:
    """Columns of val that some arm does not have."""
    places = [
        *((column, ("search", "objective")) for column in search.objectives),
        *((one.column, ("search", "constraints", one.column)) for one in search.constraints),
    ]
    told = ((_unknown(column, arms), place) for column, place in places)
    return [Problem(place, text) for text, place in told if text]


def _unknown(column: str, arms: Sequence[Variant]) -> str:
    if column == "val.score" or not is_of_val(column):
        return ""
    _, task, metric = column.split(".")
    for arm in arms:
        described = description_of(arm.config)
        judged = objectives(described.tasks, arm.config["model"].get("heads"))
        if task not in judged:
            text = f"'{arm.name}' has no task '{task}'{nearest(task, judged)}"
            return f"{text} (it has: {listed(judged)})"
        metrics = judged[task].metrics
        if metric not in metrics:
            text = f"task '{task}' has no metric '{metric}'{nearest(metric, metrics)}"
            return f"{text} (it has: {listed(metrics)})"
    return ""
