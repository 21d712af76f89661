"""Names of variants: the values of what a suite sweeps, as short as they stay distinct."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from mtmm.settings import Path
from mtmm.weighting import WEIGHTINGS
from mtmm.weighting.usage import Usage

Config = Mapping[str, Any]

ABSENT = object()
"""What stands at a place that a configuration has not."""


def variant_names(
    configs: Sequence[Config],
    targets: Sequence[Path],
    shown: Sequence[Collection[Path]] | None = None,
) -> list[str]:
    """One name for each configuration, out of its values at the varied `targets`; no name twice.

    `shown` limits the targets that a configuration's name tells of (default: all). A component
    shows, besides its name, only settings that differ between the variants that use it, and how a
    weighting is used only where that is not the method's own choice; a list is
    joined by `+`; any other value carries the last part of its key. Of a mapping that is no
    component only the parts that differ are shown.
    """
    parts: list[list[str]] = [[] for _ in configs]
    for root in (t for t in targets if not any(_inside(t, other) for other in targets)):
        told = [
            shown is None or any(t[: len(root)] == root for t in shown[i])
            for i in range(len(configs))
        ]
        for leaf in _parts(configs, root):
            labels = _labels([look_up(config, leaf) for config in configs], leaf)
            for own, label, tell in zip(parts, labels, told, strict=True):
                own += [label] if label and tell else []
    return distinct(["-".join(own) or "base" for own in parts])


def look_up(config: Config, target: Path) -> Any:
    """The value at `target`, or a marker that says there is none."""
    value: Any = config
    for part in target:
        if not isinstance(value, Mapping) or part not in value:
            return ABSENT
        value = value[part]
    return value


def _inside(target: Path, other: Path) -> bool:
    return len(target) > len(other) and target[: len(other)] == other


def _parts(configs: Sequence[Config], target: Path) -> list[Path]:
    """The target, or where mappings without a name stand there, the parts of it that differ."""
    values = [look_up(config, target) for config in configs]
    present = [value for value in values if value is not ABSENT]
    if not all(isinstance(value, Mapping) and "name" not in value for value in present):
        return [target]
    keys = dict.fromkeys(key for value in values if isinstance(value, Mapping) for key in value)
    parts = []
    for key in keys:
        part = (*target, key)
        if len({_exact(look_up(config, part)) for config in configs}) > 1:
            parts += _parts(configs, part)
    return parts


def _exact(value: Any) -> str:
    return "" if value is ABSENT else json.dumps(value, sort_keys=True)


def distinct(names: Sequence[str]) -> list[str]:
    """The names, a repeated one with a number behind it."""
    # Names of plugins may hold what joins the parts of a name.
    taken: dict[str, None] = {}
    for name in names:
        free, count = name, 1
        while free in taken:
            count += 1
            free = f"{name}#{count}"
        taken[free] = None
    return list(taken)


def _labels(values: Sequence[Any], target: Path) -> list[str]:
    # Thousands of variants share a few values, which are then the same objects.
    different = {id(value): value for value in values}
    seen: dict[tuple[str, str], set[str]] = defaultdict(set)
    for value in different.values():
        for key, item in _settings(value).items():
            seen[value["name"], key].add(json.dumps(item))
    labels = {}
    for identity, value in different.items():
        usual = _usual(value)
        shown = {
            key: item
            for key, item in _settings(value).items()
            if len(seen[value["name"], key]) > 1 and usual.get(key, ABSENT) != item
        }
        labels[identity] = _label(value, target, shown)
    return [labels[id(value)] for value in values]


def _settings(value: Any) -> dict[str, Any]:
    if isinstance(value, Mapping) and "name" in value:
        return {key: item for key, item in value.items() if key != "name"}
    return {}


def _usual(value: Any) -> dict[str, Any]:
    """How a weighting is used where a suite says nothing: that is not told."""
    if not isinstance(value, Mapping) or "gradients" not in value:
        return {}
    return asdict(Usage.of(WEIGHTINGS[value["name"]], {}))


def _label(value: Any, target: Path, shown: Mapping[str, Any]) -> str:
    if value is ABSENT:
        return ""
    if isinstance(value, Mapping) and "name" in value:
        settings = ",".join(f"{key}={_text(item)}" for key, item in shown.items())
        return f"{value['name']}({settings})" if settings else str(value["name"])
    if target in (("modalities",), ("tasks",)):
        return "+".join(value)
    return f"{target[-1]}={_text(value)}"


def _text(value: Any) -> str:
    if isinstance(value, float):
        short = f"{value:g}"
        return short if float(short) == value else repr(value)
    if isinstance(value, list):
        return "/".join(map(_text, value)) or "none"
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{_text(item)}" for key, item in value.items()) + "}"
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
