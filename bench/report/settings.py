"""Resolved configurations side by side."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

Config = Mapping[str, Any]


class _Absent:
    """Where a configuration has no such setting."""


ABSENT: Final = _Absent()


def value_at(config: Config, setting: str) -> Any:
    """The value of a dotted setting, a component with all its own; ABSENT where there is none."""
    value: Any = config
    for part in setting.split("."):
        value = value.get(part, ABSENT) if isinstance(value, Mapping) else ABSENT
    return value


def without(config: Config, setting: str) -> dict[str, Any]:
    """The configuration without a dotted setting."""
    first, _, rest = setting.partition(".")
    if first not in config or (rest and not isinstance(config[first], Mapping)):
        return dict(config)
    kept = {key: value for key, value in config.items() if key != first}
    return {**kept, first: without(config[first], rest)} if rest else kept


def differences(base: Config, config: Config, prefix: str = "") -> list[str]:
    """The dotted settings in which two configurations differ.

    A component of another name is one difference, whatever settings it brings.
    """
    found: list[str] = []
    for key in dict.fromkeys([*config, *base]):
        one, two = base.get(key, ABSENT), config.get(key, ABSENT)
        if one == two:
            continue
        alike = isinstance(one, Mapping) and isinstance(two, Mapping)
        if alike and one.get("name") == two.get("name"):
            found += differences(one, two, f"{prefix}{key}.")
        else:
            found.append(f"{prefix}{key}")
    return found


def value_name(value: Any, among: Sequence[Any] = ()) -> str:
    """A value for a reader: of a component its name, and what tells it from those `among`."""
    if isinstance(value, _Absent):
        return "–"
    if isinstance(value, Mapping) and "name" in value:
        namesakes = [v for v in among if isinstance(v, Mapping) and v.get("name") == value["name"]]
        telling = [
            f"{key} {value_name(item)}"
            for key, item in value.items()
            if any(other.get(key, ABSENT) != item for other in namesakes)
        ]
        return f"{value['name']} ({', '.join(telling)})" if telling else str(value["name"])
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return "+".join(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def full_name(value: Any) -> str:
    """A value with everything in it: a component's name and all its settings."""
    if isinstance(value, Mapping) and "name" in value:
        own = ", ".join(f"{key} {full_name(v)}" for key, v in value.items() if key != "name")
        return f"{value['name']} ({own})" if own else str(value["name"])
    return value_name(value)
