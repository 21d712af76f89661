"""What a search looks for and keeps within bounds: columns of val, and costs."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mtmm.settings import Path, Problem, found, listed, nearest

TIMED = (
    *("step_ms", "forward_ms", "backward_ms", "optimizer_ms", "inference_ms", "samples_per_s"),
    *("peak_mib", "flops"),
)
"""Costs for which a configuration is timed, at the batch size that it trains with."""

COSTS = (*TIMED, "params")

_HOW = f"val.score, val.<task>.<metric> or a cost ({listed(COSTS)})"


@dataclass(frozen=True, slots=True)
class Constraint:
    """A column, and the numbers between which it must lie; infinity where there is no bound."""

    column: str
    low: float = -math.inf
    high: float = math.inf

    def __str__(self) -> str:
        bounds = (("at least", self.low), ("at most", self.high))
        told = [f"{how} {bound:g}" for how, bound in bounds if math.isfinite(bound)]
        return f"{self.column} of {' and '.join(told)}"

    def excess(self, value: float) -> float:
        """By how much a value lies outside; 0 or less where it does not."""
        return max(value - self.high, self.low - value)


def read_objectives(value: str | list[str], path: Path, problems: list[Problem]) -> tuple[str, ...]:
    """`objective`: one column or several, each once."""
    columns = [value] if isinstance(value, str) else value
    if not columns or len(set(columns)) < len(columns):
        text = f"must be one column or several, none twice; found {found(value)}"
        problems.append(Problem(path, text))
    for column in columns:
        _check_column(column, path, problems)
    return tuple(columns)


def read_constraints(value: object, path: Path, problems: list[Problem]) -> tuple[Constraint, ...]:
    """`constraints`: columns mapped to `max`, `min` or both."""
    if not isinstance(value, dict):
        text = f"must map columns to bounds, such as {{step_ms: {{max: 5}}}}; found {found(value)}"
        problems.append(Problem(path, text))
        return ()
    read = []
    for column, bounds in value.items():
        place = (*path, str(column))
        _check_column(str(column), place, problems)
        if not _are_bounds(bounds):
            text = f"must be a mapping with finite `max`, `min` or both; found {found(bounds)}"
            problems.append(Problem(place, text))
            continue
        low, high = bounds.get("min", -math.inf), bounds.get("max", math.inf)
        if low > high:
            text = f"`min` must not be above `max`; found {low} and {high}"
            problems.append(Problem(place, text))
        read.append(Constraint(str(column), float(low), float(high)))
    return tuple(read)


def is_of_val(column: str) -> bool:
    """Whether a column is known after every epoch."""
    return column not in COSTS


def _check_column(column: str, path: Path, problems: list[Problem]) -> None:
    if column in COSTS or column == "val.score":
        return
    parts = column.split(".")
    if parts[0] == "test":
        text = f"must be a column of val: test is for the tuned arms alone; found {column}"
    elif parts[0] == "val" and len(parts) == 3:
        return
    else:
        text = f"must be {_HOW}; found {column}{nearest(column, COSTS)}"
    problems.append(Problem(path, text))


def _are_bounds(value: object) -> bool:
    if not isinstance(value, dict) or not value or not set(value) <= {"max", "min"}:
        return False
    plain = [isinstance(x, int | float) and not isinstance(x, bool) for x in value.values()]
    return all(plain) and all(math.isfinite(x) for x in value.values())
