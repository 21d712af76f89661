"""What a search has left beside its manifest for the report: `search.json`."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, NoReturn, get_args

from bench.lines import one_line

FILE: Final = "search.json"
VERSION: Final = 1

LARGEST: Final = 1e100
"""Of numbers: what is drawn of larger ones overflows. As far below 1 they are read as 0."""

State = Literal["complete", "pruned", "failed", "running"]


@dataclass(frozen=True, slots=True)
class Quantity:
    """An objective, or what a constraint is on; `share`: at best 1, so it is shown in %."""

    name: str
    share: bool

    @property
    def label(self) -> str:
        """Name and unit, for an axis."""
        for suffix, unit in (("_ms", "ms"), ("_mib", "MiB")):
            if self.name.endswith(suffix):
                return f"{one_line(self.name.removesuffix(suffix))}, {unit}"
        return f"{one_line(self.name)}{', %' if self.share else ''}"

    def shown(self, value: float) -> float:
        """The value in the unit of the label."""
        return 100 * value if self.share else value


@dataclass(frozen=True, slots=True)
class Objective(Quantity):
    """A quantity that is searched for."""

    maximize: bool


@dataclass(frozen=True, slots=True)
class Constraint(Quantity):
    """A quantity that must lie within bounds; infinite where there is none."""

    low: float
    high: float

    @property
    def rule(self) -> str:
        """The bounds as text, as a suite has them."""
        bounds = (("≥", self.low), ("≤", self.high))
        signs = [f"{sign} {x:g}" for sign, x in bounds if math.isfinite(x)]
        return f"{one_line(self.name)} {' and '.join(signs)}"


@dataclass(frozen=True, slots=True)
class Setting:
    """A searched setting: a range, or the JSON texts of its choices."""

    name: str
    low: float = math.nan
    high: float = math.nan
    log: bool = False
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Trial:
    """One trial; `values` are of the objectives, NaN where there is none."""

    number: int
    state: State
    feasible: bool
    values: tuple[float, ...]
    params: Mapping[str, float | str]
    """Of what was proposed for it: numbers, or JSON texts of choices."""


@dataclass(frozen=True, slots=True)
class Study:
    """One search of one arm."""

    label: str
    chosen: int | None
    front: tuple[int, ...]
    importance: Mapping[str, float]
    trials: tuple[Trial, ...]


@dataclass(frozen=True, slots=True)
class SearchRecord:
    """A search: what for, over what, and the study of every arm."""

    objectives: tuple[Objective, ...]
    constraints: tuple[Constraint, ...]
    space: tuple[Setting, ...]
    studies: tuple[Study, ...]
    told: str
    """How it was searched, in a sentence or two."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file that tells of no search, and why."""

    reason: str


def read_search(folder: Path, shares: Collection[str] = ()) -> SearchRecord | Unreadable | None:
    """The search that made a suite; None where none did. Never raises: its file may be anything.

    `shares` are metrics that are at best 1.
    """
    try:
        text = (folder / FILE).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        return Unreadable(f"{FILE} cannot be read: {one_line(error)}")
    try:
        given = json.loads(text, parse_constant=_no_number)
        if given["schema_version"] != VERSION:
            found = one_line(given["schema_version"])
            return Unreadable(f"{FILE} has version {found}, this report knows {VERSION}")
        return _record(given, frozenset(shares))
    except KeyError as error:
        return Unreadable(f"{FILE} lacks {one_line(error)}")
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        return Unreadable(f"{FILE} cannot be understood: {one_line(error)}")


def _record(given: Mapping[str, Any], shares: frozenset[str]) -> SearchRecord:
    objectives = tuple(_objective(one, shares) for one in given["objectives"])
    if not objectives:
        raise ValueError("no objective")
    constraints = tuple(_constraint(one, shares) for one in given["constraints"])
    return SearchRecord(
        objectives=objectives,
        constraints=constraints,
        space=tuple(map(_setting, given["space"])),
        studies=tuple(_study(arm, len(objectives)) for arm in given["arms"]),
        told=_told(given, objectives, constraints),
    )


def _objective(given: Mapping[str, Any], shares: frozenset[str]) -> Objective:
    name, direction = str(given["name"]), given["direction"]
    if direction not in ("maximize", "minimize"):
        raise ValueError(f"the direction '{direction}'")
    return Objective(name, _is_share(name, shares), direction == "maximize")


def _constraint(given: Mapping[str, Any], shares: frozenset[str]) -> Constraint:
    name = str(given["name"])
    low = _number(given["min"]) if "min" in given else -math.inf
    high = _number(given["max"]) if "max" in given else math.inf
    return Constraint(name, _is_share(name, shares), low, high)


def _is_share(name: str, shares: frozenset[str]) -> bool:
    metric = name.rpartition(".")[2]
    return name == "val.score" or (name.startswith("val.") and metric in shares)


def _setting(given: Mapping[str, Any]) -> Setting:
    if "choices" in given:
        return Setting(str(given["name"]), choices=tuple(map(str, given["choices"])))
    low, high = _number(given["low"]), _number(given["high"])
    return Setting(str(given["name"]), low, high, log=bool(given["log"]))


def _study(given: Mapping[str, Any], objectives: int) -> Study:
    chosen = given["chosen"]
    return Study(
        label=str(given["label"]),
        chosen=None if chosen is None else int(chosen),
        front=tuple(map(int, given["front"])),
        importance={str(name): _number(x) for name, x in given["importance"].items()},
        trials=tuple(_trial(trial, objectives) for trial in given["trials"]),
    )


def _trial(given: Mapping[str, Any], objectives: int) -> Trial:
    state: State = given["state"]
    if state not in get_args(State):
        raise ValueError(f"a trial is '{state}'")
    values = [None] * objectives if given["values"] is None else given["values"]
    if len(values) != objectives:
        raise ValueError(f"{len(values)} values for {objectives} objectives")
    return Trial(
        number=int(given["number"]),
        state=state,
        feasible=bool(given["feasible"]),
        values=tuple(math.nan if value is None else _number(value) for value in values),
        params={str(name): _proposed(value) for name, value in given["params"].items()},
    )


def _proposed(value: object) -> float | str:
    return value if isinstance(value, str) else _number(value)


def _number(value: object) -> float:
    if not isinstance(value, int | float) or not abs(value) <= LARGEST:
        raise ValueError(f"'{value}' is no number that can be drawn")
    return float(value) if abs(value) >= 1 / LARGEST else 0.0


def _no_number(constant: str) -> NoReturn:
    raise ValueError(f"'{constant}' is no number that can be drawn")


def _told(
    given: Mapping[str, Any],
    objectives: tuple[Objective, ...],
    constraints: tuple[Constraint, ...],
) -> str:
    trials, seeds, pruner = int(given["trials_asked"]), int(given["seeds"]), given["pruner"]
    goals = ", ".join(
        f"{one_line(o.name)} ({'maximized' if o.maximize else 'minimized'})" for o in objectives
    )
    text = f"{trials} trial{'' if trials == 1 else 's'} for each arm"
    text += f", each the mean over {seeds} seeds" if seeds > 1 else ""
    text += f", proposed by {one_line(given['sampler'])}"
    text += f" and pruned by {one_line(pruner)}" if pruner not in (None, "", "none") else ""
    text += f". Searched for: {goals}."
    return text + (f" Within: {'; '.join(c.rule for c in constraints)}." if constraints else "")
