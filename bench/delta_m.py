"""Multi-task performance change against single-task learning, in the two definitions in use.

They disagree in sign, in order and in what "better" is, so neither is ever called just Δm. Both
take one value per metric column, for example "script.accuracy".
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import fmean


def delta_m_per_task(
    values: Mapping[str, float],
    base: Mapping[str, float],
    higher_is_better: Mapping[str, bool],
    task_of: Mapping[str, str],
) -> float:
    """Gain over single-task learning in %, positive = better (Maninis et al., 2019, eq. 4).

    The relative gains of a task's metrics are averaged first, then the tasks: a task with many
    metrics weighs no more than one with a single metric. All mappings have the same columns as
    keys; `base` holds the single-task values. NaN where a base value is 0.
    """
    _check_columns(values, base=base, higher_is_better=higher_is_better, task_of=task_of)
    gains: dict[str, list[float]] = {}
    for column in values:
        gain = _gain(values[column], base[column], higher_is_better[column])
        gains.setdefault(task_of[column], []).append(gain)
    return 100 * fmean(fmean(of_task) for of_task in gains.values())


def delta_m_flat(
    values: Mapping[str, float],
    base: Mapping[str, float],
    higher_is_better: Mapping[str, bool],
) -> float:
    """Drop below single-task learning in %, positive = WORSE, over all metric columns alike.

    The form published by CAGrad (Liu et al., 2021), Nash-MTL (Navon et al., 2022) and FAMO (Liu
    et al., 2023): a task weighs as much as it has metrics. All mappings have the same columns as
    keys; `base` holds the single-task values. NaN where a base value is 0.
    """
    _check_columns(values, base=base, higher_is_better=higher_is_better)
    return -100 * fmean(
        _gain(values[column], base[column], higher_is_better[column]) for column in values
    )


def _gain(value: float, base: float, higher_is_better: bool) -> float:
    if base == 0:
        return math.nan
    # |base|: a metric below zero still counts as better when it rises.
    change = (value - base) / abs(base)
    return change if higher_is_better else -change


def _check_columns(values: Mapping[str, float], **others: Mapping[str, object]) -> None:
    if not values:
        raise ValueError("values must hold at least one column, found none")
    for name, other in others.items():
        missing = sorted(set(values) - set(other))
        if missing:
            raise ValueError(f"{name} must have every column of values, lacks {missing}")
