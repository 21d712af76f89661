"""What the records of a suite were made with, and how two runs differ in it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.report.frame import Results, flatten

Environment = Mapping[str, Any]

ABSENT = "not there"


@dataclass(frozen=True, slots=True)
class Difference:
    """A fact that is not the same in both: its dotted name, and what it is in A and in B."""

    name: str
    a: str
    b: str


def environments(results: Results) -> dict[str, Environment]:
    """The environments that records of the suite name, by name, in the order of the records."""
    names = [unit.environment for unit in results.units if unit.environment]
    return {name: _read(results.folder.parent, name) for name in dict.fromkeys(names)}


def differences(
    a: Iterable[Environment], b: Iterable[Environment]
) -> tuple[list[Difference], list[Difference]]:
    """Where the environments of two runs differ: in identity, and in what changes by the minute.

    The first can change numbers or speed: software, machine, device. Several environments of a
    run are told together.
    """
    of_a, of_b = list(a), list(b)
    identity = _differences(map(_identity, of_a), map(_identity, of_b))
    return identity, _differences(map(_state, of_a), map(_state, of_b))


def _read(root: Path, name: str) -> Environment:
    path = root / "environments" / f"{Path(name).name}.json"
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        read = {"description": f"environments/{name}.json cannot be read"}
    return read if isinstance(read, Mapping) else {}


def _identity(environment: Environment) -> Environment:
    # Older descriptions have one level, where the commit is all that changes by the minute.
    flat = {key: value for key, value in environment.items() if key not in ("git", "state")}
    inner = environment.get("identity", flat)
    return inner if isinstance(inner, Mapping) else {}


def _state(environment: Environment) -> Environment:
    older = {key: environment[key] for key in ("git",) if key in environment}
    inner = environment.get("state", older)
    return inner if isinstance(inner, Mapping) else {}


def _differences(a: Iterable[Environment], b: Iterable[Environment]) -> list[Difference]:
    of_a, of_b = (_values(environments) for environments in (a, b))
    names = dict.fromkeys([*of_a, *of_b])
    told = [Difference(name, *(of.get(name, ABSENT) for of in (of_a, of_b))) for name in names]
    return [difference for difference in told if difference.a != difference.b]


def _shown(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _values(environments: Iterable[Environment]) -> dict[str, str]:
    """Every fact with all its values."""
    found: dict[str, dict[str, None]] = {}
    for environment in environments:
        for key, value in flatten(environment, "").items():
            found.setdefault(key[1:], {})[_shown(value)] = None
    return {name: " or ".join(sorted(values)) for name, values in found.items()}
