"""Results of a training loop of one's own, kept as records like any other."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from filelock import FileLock

from bench.cell import identity
from bench.errors import InputError
from bench.fingerprint import describe
from bench.records import MANIFEST_VERSION
from bench.report.frame import load_manifest
from bench.sections import NAME
from bench.store import Store, write_json
from mtmm.heads import HEADS
from mtmm.heads.base import Metric
from mtmm.settings import found, listed

COMMAND = "bench.record"
"""What a manifest names as its maker where no suite file is."""

Measures = Mapping[str, Mapping[str, float]]
"""Metrics by task and name."""

Status = Literal["ok", "diverged", "oom", "timeout", "error"]


def record(
    suite: str,
    *,
    variant: str,
    seed: int,
    metrics: Measures | None = None,
    status: Status = "ok",
    reason: str = "",
    val: Measures | None = None,
    trivial: Mapping[str, float] | None = None,
    meanings: Mapping[str, Metric] | None = None,
    config: Mapping[str, Any] | None = None,
    baseline: str | None = None,
    single_task: Mapping[str, str] | None = None,
    question: str = "",
    params: int | None = None,
    seconds: float | None = None,
    results: str | Path = "results",
) -> str:
    """Keep what one run of your own loop came to; the identity of its record.

    `metrics` are those on test, `{task: {metric: value}}`, a task's primary one first, `val` those
    on val. A run that came to nothing has another `status` than `ok`, its `reason` and no metrics:
    tables then say how many of a variant's runs they are about.

    The score of a task lies between `trivial[task]`, its primary metric for a constant prediction
    (0 where left out, for metrics of which more is better), and the metric's ideal. Metrics of
    built-in kinds of tasks are known; of others `meanings` gives direction and ideal. `config` is
    what you want to see of the variant's settings. Variants are compared with `baseline` (the one
    recorded first unless said), paired by `seed`; `single_task` names, for some variants, those
    whose runs learn each task alone, for Δm. The same variant and seed again replaces the record.
    `bench.load(results/suite)` and `mtmm-bench report` read it like any other.

    Raises InputError where something will not do, or the folder holds a suite that was run.
    """
    _check_names(suite, variant, seed)
    _check_status(status, metrics)
    known = _meanings(metrics, meanings or {}) if metrics is not None else {}
    store = Store(results)
    name = identity({"kind": "record", "suite": suite, "variant": variant, "seed": seed})
    started = datetime.now(UTC).isoformat(timespec="seconds")
    made: dict[str, Any] = {"kind": "train", "started": started, "status": status, "reason": reason}
    made |= {"config": dict(config or {}), "seed": seed, "seconds": seconds, "params": params}
    if metrics is not None:
        made |= _trained(metrics, val or {}, _scores(metrics, known, trivial or {}))
    folder = store.suite_folder(suite)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".manifest.lock"):
            manifest = _manifest(folder, suite)
            _add(manifest, variant, dict(config or {}), {"seed": seed, "record": name})
            manifest["metrics"] |= {m: asdict(meaning) for m, meaning in known.items()}
            manifest["question"] = question or manifest["question"]
            manifest["baseline"] = baseline or manifest["baseline"] or variant
            manifest["base"] = manifest["baseline"]
            manifest["single_task"] |= single_task or {}
            environment = store.write_environment(describe(torch.device("cpu")))
            store.write(name, {**made, "environment": environment})
            write_json(folder / "manifest.json", manifest)
    except OSError as error:
        raise InputError(f"{folder}: nothing can be written there: {error}") from None
    return name


def _trained(metrics: Measures, val: Measures, scores: Mapping[str, float]) -> dict[str, Any]:
    """What a train record with these results says; of steps and epochs it knows nothing."""
    return {
        "steps": None,
        "samples": None,
        "epochs": {},
        "val": val,
        "test": metrics,
        "scores": {"val": None, "test": sum(scores.values()) / len(scores)},
        "task_scores": {"val": {}, "test": dict(scores)},
        "curve": [],
    }


def _check_status(status: str, metrics: Measures | None) -> None:
    known = get_args(Status)
    if status not in known:
        raise InputError(f"`status` must be one of {listed(known)}; found {found(status)}")
    if (status == "ok") != (metrics is not None):
        text = "`metrics` must be given where `status` is ok, and not where it is another"
        raise InputError(f"{text}; found status '{status}' and metrics {found(metrics)}")


def _check_names(suite: str, variant: str, seed: int) -> None:
    if not isinstance(suite, str) or not re.fullmatch(NAME, suite) or ".." in suite:
        text = "letters, digits, `_`, `-` and `.`, the first a letter or digit"
        raise InputError(f"`suite` must be a name for a folder: {text}; found {found(suite)}")
    if not isinstance(variant, str) or not variant.strip():
        raise InputError(f"`variant` must be a name; found {found(variant)}")
    if type(seed) is not int or seed < 0:
        raise InputError(f"`seed` must be a whole number at least 0; found {found(seed)}")


def _meanings(metrics: Measures, own: Mapping[str, Metric]) -> dict[str, Metric]:
    """Direction and ideal of every metric, in the order given."""
    if not metrics or not all(metrics.values()):
        raise InputError("`metrics` must be {task: {metric: value}} with a task and a metric")
    built_in = {name: m for head in HEADS.values() for name, m in head.objective.metrics.items()}
    known = {}
    for task, name, value in _values(metrics):
        if name not in own and name not in built_in:
            text = f"`meanings` must say what metric '{name}' of task '{task}' means"
            raise InputError(f"{text}: {{'{name}': Metric(higher_is_better=..., ideal=...)}}")
        if not isinstance(value, int | float) or not math.isfinite(value):
            text = f"metric '{name}' of task '{task}' must be a finite number"
            raise InputError(f"`metrics`: {text}; found {found(value)}")
        known[name] = own.get(name) or built_in[name]
    return known


def _values(metrics: Measures) -> Iterator[tuple[str, str, float]]:
    for task, of_task in metrics.items():
        for name, value in of_task.items():
            yield task, name, value


def _scores(
    metrics: Measures, known: Mapping[str, Metric], trivial: Mapping[str, float]
) -> dict[str, float]:
    """Where each task's primary metric lies between the trivial value and the ideal."""
    strange = [task for task in trivial if task not in metrics]
    if strange:
        text = f"`trivial` must name tasks of `metrics` ({listed(metrics)})"
        raise InputError(f"{text}; found {listed(strange)}")
    scores = {}
    for task, of_task in metrics.items():
        name, value = next(iter(of_task.items()))
        meaning = known[name]
        if task not in trivial and not meaning.higher_is_better:
            text = f"`trivial` must give '{name}' of task '{task}' for a constant prediction"
            raise InputError(f"{text}: of a metric of which less is better 0 is the best")
        worst = trivial.get(task, 0.0)
        if worst == meaning.ideal:
            text = f"`trivial` of task '{task}' is {worst:g}, the ideal of '{name}'"
            raise InputError(f"{text}: no score can lie between")
        scores[task] = (value - worst) / (meaning.ideal - worst)
    return scores


def _manifest(folder: Path, suite: str) -> dict[str, Any]:
    """That of the folder, or a new one; InputError where a suite was run there."""
    if not (folder / "manifest.json").exists():
        return {
            "schema_version": MANIFEST_VERSION,
            "suite": suite,
            "question": "",
            "baseline": "",
            "base": "",
            "single_task": {},
            "command": COMMAND,
            "skips": [],
            "metrics": {},
            "blocks": {},
            "variants": [],
        }
    manifest = load_manifest(folder)
    if manifest["command"] != COMMAND:
        text = f"{folder} holds the results of `{manifest['command']}`"
        raise InputError(f"{text}: records of your own need a `suite` of another name")
    return manifest


def _add(
    manifest: dict[str, Any], variant: str, config: dict[str, Any], cell: dict[str, Any]
) -> None:
    """Put a cell of a variant into the manifest, in the place of one of the same seed."""
    for entry in manifest["variants"]:
        if entry["name"] == variant:
            others = [one for one in entry["train"] if one["seed"] != cell["seed"]]
            entry["train"] = sorted([*others, cell], key=lambda one: int(one["seed"]))
            entry["config"] = config or entry["config"]
            return
    new = {"name": variant, "compared": True, "varied": [], "ablation": False, "config": config}
    manifest["variants"].append({**new, "train": [cell], "time": []})
