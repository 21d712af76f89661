"""Names of variants: the values of what a suite sweeps, as short as they stay distinct."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from mtmm.settings import Path

Config = Mapping[str, Any]

_ABSENT = object()


def variant_names(configs: Sequence[Config], targets: Sequence[Path]) -> list[str]:
    """One name for each configuration, out of its values at the swept `targets`.

    A component shows, besides its name, only settings that differ between the variants that use
    it; a list is joined by `+`; any other value carries the last part of its key.
    """
    roots = [t for t in targets if not any(_inside(t, other) for other in targets)]
    if not roots:
        return ["base"] * len(configs)
    columns = [_labels([look_up(config, target) for config in configs], target) for target in roots]
    return ["-".join(filter(None, labels)) for labels in zip(*columns, strict=True)]


def look_up(config: Config, target: Path) -> Any:
    """The value at `target`, or a marker that says there is none."""
    value: Any = config
    for part in target:
        if not isinstance(value, Mapping) or part not in value:
            return _ABSENT
        value = value[part]
    return value


def _inside(target: Path, other: Path) -> bool:
    return len(target) > len(other) and target[: len(other)] == other


def _labels(values: Sequence[Any], target: Path) -> list[str]:
    seen: dict[tuple[str, str], set[str]] = defaultdict(set)
    for value in values:
        for key, item in _settings(value).items():
            seen[value["name"], key].add(json.dumps(item))
    labels = []
    for value in values:
        shown = {k: v for k, v in _settings(value).items() if len(seen[value["name"], k]) > 1}
        labels.append(_label(value, target, shown))
    return labels


def _settings(value: Any) -> dict[str, Any]:
    if isinstance(value, Mapping) and "name" in value:
        return {key: item for key, item in value.items() if key != "name"}
    return {}


def _label(value: Any, target: Path, shown: Mapping[str, Any]) -> str:
    if value is _ABSENT:
        return ""
    if isinstance(value, Mapping) and "name" in value:
        settings = ",".join(f"{key}={_text(item)}" for key, item in shown.items())
        return f"{value['name']}({settings})" if settings else str(value["name"])
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return "+".join(value)
    return f"{target[-1]}={_text(value)}"


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list):
        return "/".join(map(_text, value))
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
