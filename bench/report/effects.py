"""What a single setting does: matched pairs of variants that differ in it alone."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bench.report.scores import FloatArray, Scores
from bench.report.settings import ABSENT, differences, value_at, value_name, without
from bench.statistics import mean_interval

Config = Mapping[str, Any]
Entry = Mapping[str, Any]
"""A variant of the manifest."""

COLUMNS = (
    "setting",
    "value",
    "reference",
    "difference",
    "difference_lo",
    "difference_hi",
    "n",
    "pairs",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Effects:
    """`table`: per setting and value the difference in score to the baseline's value.

    Columns: `setting, value, reference` (the baseline's value), `difference` (a fraction) with
    its 95 % t interval over `n` seeds, and the matched `pairs` it is a mean over. `gaps` tell
    which settings vary and cannot be judged, and why.
    """

    table: pd.DataFrame
    gaps: tuple[str, ...]


def effects(entries: Sequence[Entry], baseline: str, scores: Scores) -> Effects:
    """The effect of every setting that varies among the compared variants.

    A pair is two variants whose configurations are equal but for the setting; one has the
    baseline's value. A seed's difference is the mean over the pairs, the same ones for every seed:
    a pair that lacks a seed others have is left out, and where all lack one, the seeds that one
    lacks. Such an effect is no test: it carries an interval and no verdict.
    """
    compared = [entry for entry in entries if entry.get("compared", True)]
    base: Config = next(e["config"] for e in compared if e["name"] == baseline)
    rows: list[dict[str, Any]] = []
    gaps: list[str] = []
    for setting in _settings(compared, base):
        found = list(_of_setting(setting, compared, base, scores))
        rows += found
        if value_at(base, setting) is ABSENT:
            gaps.append(f"{setting}: the baseline has no such setting.")
        elif not found:
            gaps.append(f"{setting}: no two variants differ in it alone and share a seed.")
    return Effects(table=pd.DataFrame(rows, columns=list(COLUMNS)), gaps=tuple(gaps))


def ablations(entries: Sequence[Entry], base: str, scores: Scores) -> pd.DataFrame:
    """`variant, difference, difference_lo, difference_hi, n`: score minus that of the base."""
    return pd.DataFrame(
        [
            {"variant": entry["name"]} | summary(scores.difference(entry["name"], base))
            for entry in entries
            if entry.get("ablation", False) and entry["name"] != base
        ],
        columns=["variant", *COLUMNS[3:7]],
    )


def base_of(manifest: Mapping[str, Any]) -> str:
    """The variant that ablations start from: the suite's base, which no choice changed."""
    if "base" in manifest:
        return str(manifest["base"])
    plain = [
        entry["name"]
        for entry in manifest["variants"]
        if entry.get("compared", True) and entry.get("varied") == []
    ]
    return str(plain[0] if len(plain) == 1 else manifest["baseline"])


def summary(differences: FloatArray) -> dict[str, float]:
    """Mean difference (`[seeds]`, NaN where unknown) with its t interval, and n."""
    known = differences[~np.isnan(differences)]
    mean, lo, hi = mean_interval(known)
    return {"difference": mean, "difference_lo": lo, "difference_hi": hi, "n": known.size}


def _settings(compared: Sequence[Entry], base: Config) -> list[str]:
    """What varies: what the suite's choices set, or else where configurations differ."""
    chosen = [setting for entry in compared for setting in entry.get("varied", ())]
    found = chosen or [path for e in compared for path in differences(base, e["config"])]
    return list(dict.fromkeys(found))


def _of_setting(
    setting: str, compared: Sequence[Entry], base: Config, scores: Scores
) -> Iterator[dict[str, Any]]:
    reference = value_at(base, setting)
    groups: dict[str, list[Entry]] = {}
    for entry in compared:
        groups.setdefault(_text(value_at(entry["config"], setting)), []).append(entry)
    values = [value_at(group[0]["config"], setting) for group in groups.values()]
    references = groups.get(_text(reference), [])
    for group, value in zip(groups.values(), values, strict=True):
        if group is references or ABSENT in (value, reference):
            continue
        pairs = _paired(setting, group, references, base)
        by_pair = _complete([scores.difference(own, other) for own, other in pairs])
        row = summary(by_pair.mean(axis=0)) if len(by_pair) else {"n": 0}
        if row["n"]:
            told = {"value": value_name(value, values), "reference": value_name(reference, values)}
            yield {"setting": setting, **told, **row, "pairs": len(by_pair)}


def _complete(differences: Sequence[FloatArray]) -> FloatArray:
    """The pairs (`[pairs, seeds]`) with all seeds that some pair has; all of them if none has."""
    known = [d for d in differences if not np.isnan(d).all()]
    if not known:
        return np.empty((0, 0))
    by_pair = np.array(known)
    some = ~np.isnan(by_pair).all(axis=0)
    whole = ~np.isnan(by_pair[:, some]).any(axis=1)
    return by_pair[whole] if whole.any() else by_pair


def _paired(
    setting: str, group: Sequence[Entry], references: Sequence[Entry], base: Config
) -> list[tuple[str, str]]:
    """The names of the variants that are equal but for the setting."""
    if not references:
        return []
    own, other_own = (e[0]["config"].get("modalities", ()) for e in (group, references))
    shared = set(own) & set(other_own)
    other = {_rest(e["config"], setting, shared, base): e["name"] for e in references}
    keys = [(_rest(e["config"], setting, shared, base), e["name"]) for e in group]
    return [(name, other[key]) for key, name in keys if key in other]


def _rest(config: Config, setting: str, shared: set[str], base: Config) -> str:
    """All of a configuration but the setting, and what follows from it.

    With a modality goes its encoder, and with one modality there is nothing to fuse: those are
    compared with the variants that have the baseline's fusion.
    """
    rest = without(config, setting)
    model = rest.get("model", {})
    if setting == "modalities" and "encoders" in model:
        encoders = {name: e for name, e in model["encoders"].items() if name in shared}
        fusion = model["fusion"]
        if fusion.get("name") == "none":
            fusion = value_at(base, "model.fusion")
        rest = {**rest, "model": {**model, "encoders": encoders, "fusion": fusion}}
    if setting == "tasks" and "heads" in model:
        rest = {**rest, "model": {key: part for key, part in model.items() if key != "heads"}}
    return _text(rest)


def _text(value: Any) -> str:
    return "" if value is ABSENT else json.dumps(value, sort_keys=True)
