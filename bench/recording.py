"""Results of a training loop of one's own, kept as records like any other."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
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
from bench.told import Measures, Told, number, plain, told, whole
from mtmm.heads.base import Metric
from mtmm.settings import found, listed

COMMAND = "bench.record"
"""What a manifest names as its maker where no suite file is."""

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
    _check_names(suite, variant)
    seed = whole("`seed`", seed)
    _check_status(status, metrics)
    given = None if metrics is None else told(metrics, val or {}, trivial or {}, meanings or {})
    settings = plain(config or {})
    store = Store(results)
    name = identity({"kind": "record", "suite": suite, "variant": variant, "seed": seed})
    trained = {} if given is None else _trained(given)
    made = _begun(status, reason, seconds, params) | {"config": settings, "seed": seed} | trained
    folder = store.suite_folder(suite)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".manifest.lock"):
            manifest = _manifest(folder, suite)
            tasks = None if given is None else _noted(manifest, variant, name, given)
            _add(manifest, variant, settings, {"seed": seed, "record": name, "tasks": tasks})
            _compare(manifest, baseline or manifest["baseline"] or variant, single_task or {})
            manifest["question"] = question or manifest["question"]
            environment = store.write_environment(describe(torch.device("cpu")))
            store.write(name, {**made, "environment": environment})
            write_json(folder / "manifest.json", manifest)
    except OSError as error:
        raise InputError(f"{folder}: nothing can be written there: {error}") from None
    return name


def _begun(
    status: Status, reason: str, seconds: float | None, params: int | None
) -> dict[str, Any]:
    """What every record begins with; raises InputError."""
    return {
        "kind": "train",
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "status": status,
        "reason": reason,
        "seconds": None if seconds is None else number("`seconds`", seconds),
        "params": None if params is None else whole("`params`", params),
    }


def _compare(manifest: dict[str, Any], baseline: str, single_task: Mapping[str, str]) -> None:
    """Say what variants are compared with."""
    manifest |= {"baseline": baseline, "base": baseline}
    manifest["single_task"] |= single_task


def _noted(manifest: dict[str, Any], variant: str, identity: str, given: Told) -> list[str]:
    """The tasks of a run; what they mean goes into the manifest, against which it is checked."""
    _check_alike(manifest, variant, identity, given)
    manifest["tasks"] = manifest.get("tasks", {}) | _tasks(given)
    manifest["metrics"] |= {name: asdict(how) for name, how in given.meanings.items()}
    return list(given.test)


def _trained(given: Told) -> dict[str, Any]:
    """What a train record with these results says; of steps and epochs it knows nothing."""
    scores = given.scores
    return {
        "steps": None,
        "samples": None,
        "epochs": {},
        "val": given.val,
        "test": given.test,
        "scores": {"val": None, "test": sum(scores.values()) / len(scores)},
        "task_scores": {"val": {}, "test": scores},
        "curve": [],
    }


def _tasks(given: Told) -> dict[str, Any]:
    """What a score of 0 stands for, by task: the same for every run that is compared."""
    return {
        task: {"primary": name, "trivial": given.trivial[task], **asdict(given.meanings[name])}
        for task, name in given.primary.items()
    }


def _check_alike(manifest: dict[str, Any], variant: str, identity: str, given: Told) -> None:
    """InputError where scores could not be compared with those that are there already."""
    others = [
        (entry["name"], cell)
        for entry in manifest["variants"]
        for cell in entry["train"]
        if cell["record"] != identity and cell.get("tasks")
    ]
    for name, cell in others:
        if name == variant and set(cell["tasks"]) != set(given.test):
            text = f"all runs of '{variant}' must have the same tasks, seed {cell['seed']} has"
            more = "one that lacks some is a failed run: `status`"
            raise InputError(
                f"`metrics`: {text} {listed(cell['tasks'])}; found {listed(given.test)} ({more})"
            )
    known = {task for _, cell in others for task in cell["tasks"]}
    for task, fact in _tasks(given).items():
        before = manifest.get("tasks", {}).get(task, fact) if task in known else fact
        changed = ", ".join(f"{k} {before[k]}" for k in fact if not _same(before[k], fact[k]))
        if changed:
            text = f"task '{task}' must mean the same in all runs of '{manifest['suite']}'"
            raise InputError(
                f"{text}, where it has {changed}: use another `suite`, or the same values"
            )


def _same(one: Any, other: Any) -> bool:
    """Whether two facts are equal, but for the last digits of numbers."""
    both = isinstance(one, float) and isinstance(other, float)
    return math.isclose(one, other, abs_tol=1e-6) if both else one == other


def _check_status(status: str, metrics: Measures | None) -> None:
    known = get_args(Status)
    if status not in known:
        raise InputError(f"`status` must be one of {listed(known)}; found {found(status)}")
    if (status == "ok") != (metrics is not None):
        text = "`metrics` must be given where `status` is ok, and not where it is another"
        raise InputError(f"{text}; found status '{status}' and metrics {found(metrics)}")


def _check_names(suite: str, variant: str) -> None:
    if not isinstance(suite, str) or not re.fullmatch(NAME, suite) or ".." in suite:
        text = "letters, digits, `_`, `-` and `.`, the first a letter or digit"
        raise InputError(f"`suite` must be a name for a folder: {text}; found {found(suite)}")
    if not isinstance(variant, str) or not variant.strip():
        raise InputError(f"`variant` must be a name; found {found(variant)}")


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
            "tasks": {},
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
