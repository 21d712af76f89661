"""Records to one tidy DataFrame: one row per record, units in the column names."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from bench.errors import InputError
from bench.records import Record, UnusableError, as_manifest
from bench.report.parts import part_columns
from bench.rounds import Medians, round_medians, typical_ms
from bench.store import Store

MISSING: Record = {"status": "missing", "reason": "not run yet"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """What a report tells of a record beside its row in the frame."""

    variant: str
    what: str
    """The seed, or what was timed."""
    status: str
    reason: str
    record: str
    """Identity of the record."""
    started: str
    environment: str
    log: str
    """The log that the record names; empty where it names none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """A suite's records, each read once.

    `units` go with the rows of `frame`. `curves` has a row per finished train record and epoch:
    `variant, seed, epoch, val.score`, and `dynamics` one per weight and cosine of these: `variant,
    seed, epoch, kind` (`weight` or `cosine`), `name, value`. `rounds` has one per finished timing
    record and round: `variant, block, round, step_ms` (the median of the round's steps).
    """

    folder: Path
    manifest: Mapping[str, Any]
    frame: pd.DataFrame
    units: tuple[Unit, ...]
    curves: pd.DataFrame
    dynamics: pd.DataFrame
    rounds: pd.DataFrame
    profiles: Mapping[str, Record]
    """The finished profiles by variant."""


def load_manifest(folder: str | Path) -> dict[str, Any]:
    """The manifest in a suite's results folder; raises InputError where there is none."""
    path = Path(folder) / "manifest.json"
    try:
        return as_manifest(json.loads(path.read_text(encoding="utf-8")))
    except UnusableError as error:
        raise InputError(f"{path}: {error}: run the suite again") from None
    except OSError as error:
        text = f"{folder}: no results of a suite here ({path.name}: {error.strerror})"
        raise InputError(text) from None
    except ValueError as error:
        raise InputError(f"{path}: not a manifest: {error}") from None
    except RecursionError:
        raise InputError(f"{path}: not a manifest: nested too deeply") from None


def load_frame(folder: str | Path) -> pd.DataFrame:
    """One row per record of a suite, in the order of its variants and seeds.

    Columns: `suite, variant, kind, seed, status, reason`, the resolved configuration as
    `config.<path>`, `train.*`, `val.<task>.<metric>`, `test.<task>.<metric>`,
    `val.<task>.score`, `test.<task>.score`, `val.score`, `test.score`, `params`, where asked for
    `robust.<condition>.*` and `shapley.<modality>`, and on rows of
    kind `time` also `time.*`, `samples_per_s`, `peak_mib`, `flops` and, where the variant was
    profiled, `cost.<part>.*`. What a unit did not produce
    is missing in its row.
    """
    return load_results(folder).frame


def load_results(folder: str | Path) -> Results:
    """All that a report needs; raises InputError where there are no results of a suite."""
    folder = _by_name(Path(folder))
    manifest = load_manifest(folder)
    store = Store(folder.parent)
    rows, units, curves, rounds, profiles = [], [], [], [], _profiles(manifest, store)
    dynamics: list[tuple[str, int, int, str, str, float]] = []
    for head, config, record in _records(manifest, store):
        produced = _train(record) if head["kind"] == "train" else _time(record)
        row = head | config | produced
        rows.append(_printable(row | part_columns(profiles.get(head["variant"]), row)))
        units.append(_unit(head, record))
        if record["status"] == "ok" and head["kind"] == "train":
            curves += _curve(head, record)
            dynamics += _dynamics(head, record)
        elif record["status"] == "ok":
            rounds += [(head["variant"], record["block"], *of) for of in _medians(record).items()]
    return Results(
        folder=folder,
        manifest=manifest,
        frame=pd.DataFrame(rows),
        units=tuple(units),
        curves=pd.DataFrame(curves, columns=["variant", "seed", "epoch", "val.score"]),
        dynamics=pd.DataFrame(
            dynamics, columns=["variant", "seed", "epoch", "kind", "name", "value"]
        ),
        rounds=pd.DataFrame(rounds, columns=["variant", "block", "round", "step_ms"]),
        profiles=profiles,
    )


def _printable(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row with halves of surrogate pairs written out, which a column of words may not hold."""
    return {_text(key): _text(value) for key, value in row.items()}


def _text(value: Any) -> Any:
    if not isinstance(value, str) or value.isascii():
        return value
    return value.encode("utf-8", "backslashreplace").decode("utf-8")


def _profiles(manifest: Mapping[str, Any], store: Store) -> dict[str, Record]:
    """By variant, the profiles that have been made and went well."""
    named = {v["name"]: v["profile"] for v in manifest["variants"] if v.get("profile")}
    found = {name: store.read(identity) for name, identity in named.items()}
    return {name: record for name, record in found.items() if record and record["status"] == "ok"}


def _by_name(folder: Path) -> Path:
    """The folder by a path that has its name, and so a parent: `.` and `..` have none."""
    return Path(os.path.abspath(folder)) if folder.name in ("", "..") else folder


def _records(
    manifest: Mapping[str, Any], store: Store
) -> Iterator[tuple[dict[str, Any], dict[str, Any], Record]]:
    """The first columns of a row, its configuration, and its record with identity."""
    read: dict[str, Record] = {}  # variants whose steps cost the same share a timing

    def record_of(identity: str) -> Record:
        if identity not in read:
            read[identity] = {**_looked_up(identity, store), "id": identity}
        return read[identity]

    for variant in manifest["variants"]:
        head = {"suite": manifest["suite"], "variant": variant["name"]}
        config = flatten(variant["config"], "config")
        for cell in variant["train"]:
            record = record_of(cell["record"])
            status = {"kind": "train", **_status(record), "seed": cell["seed"]}
            yield head | status, config, record
        for identity in variant["time"]:
            record = record_of(identity)
            yield head | {"kind": "time", **_status(record)}, config, record


def _looked_up(identity: str, store: Store) -> Record:
    """A unit's record, or what there is to tell of it."""
    try:
        return store.look(identity)
    except FileNotFoundError:
        return MISSING
    except UnusableError as error:
        return {"status": "unusable", "reason": f"its record cannot be used: {error}"}


def flatten(value: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Nested mappings as one, keys joined by dots; lists of words joined by `+`."""
    flat: dict[str, Any] = {}
    for key, item in value.items():
        name = f"{prefix}.{key}"
        if isinstance(item, Mapping):
            flat |= flatten(item, name)
        elif isinstance(item, list):
            flat[name] = "+".join(map(str, item))
        else:
            flat[name] = item
    return flat


def _status(record: Record) -> dict[str, Any]:
    return {"status": record["status"], "reason": record["reason"]}


def _unit(head: Mapping[str, Any], record: Record) -> Unit:
    what = "timing"
    if head["kind"] == "train":
        what = f"seed {head['seed']}"
    elif "mode" in record:
        what = f"{record['mode']} step at batch size {record['batch_size']}"
    return Unit(
        variant=head["variant"],
        what=what,
        record=record["id"],
        **_status(record),
        **{key: str(record.get(key) or "") for key in ("started", "environment", "log")},
    )


def _curve(head: Mapping[str, Any], record: Record) -> list[tuple[str, int, int, float]]:
    return [
        (head["variant"], head["seed"], point["epoch"], point["val_score"])
        for point in record.get("curve", ())
        if point.get("val_score") is not None
    ]


def _dynamics(
    head: Mapping[str, Any], record: Record
) -> Iterator[tuple[str, int, int, str, str, float]]:
    for point in record.get("curve", ()):
        where = (head["variant"], head["seed"], point["epoch"])
        for task, weight in point.get("weights", {}).items():
            yield *where, "weight", task, weight
        for first, others in point.get("gradients", {}).get("cosines", {}).items():
            for second, cosine in others.items():
                yield *where, "cosine", f"{first}, {second}", cosine


def _medians(record: Record, arm: str = "samples") -> Medians:
    """The steps of a timing's arm by round; none where it has none, or failed."""
    samples = record.get(arm) or {}
    usable = samples.get("status", "ok") == "ok" and "phase_ms" in samples
    return round_medians(samples) if usable else {}


def _train(record: Record) -> dict[str, Any]:
    if record["status"] != "ok":
        return {}
    row = {
        "train.seconds": record["seconds"],
        "train.steps": record["steps"],
        "train.samples": record["samples"],
        "params": record["params"],
    }
    if "features_s" in record:
        row["train.features_s"] = record["features_s"]
    row |= {f"train.epoch.{task}": epoch for task, epoch in record["epochs"].items()}
    for split in ("val", "test"):
        row |= flatten(record[split], split)
        row[f"{split}.score"] = record["scores"][split]
        row |= {f"{split}.{task}.score": x for task, x in record["task_scores"][split].items()}
    return row | _told_of_tasks(record) | _robust(record.get("robustness"))


def _robust(told: Mapping[str, Any] | None) -> dict[str, float]:
    """Scores and metrics on a changed test split, and Shapley values."""
    row: dict[str, float] = {}
    if told is None:
        return row
    for name, of in told["conditions"].items():
        row[f"robust.{name}.score"] = of["score"]
        row |= flatten(of["tasks"], f"robust.{name}")
    return row | flatten(told["shapley"], "shapley")


def _told_of_tasks(record: Record) -> dict[str, Any]:
    """Weights in the last epoch; gradients in means over all epochs."""
    curve = record.get("curve", ())
    row = {"train.fallbacks": record["fallbacks"]} if "fallbacks" in record else {}
    if curve and "weights" in curve[-1]:
        row |= flatten(curve[-1]["weights"], "train.weight")
    epochs = [_of_epoch(point["gradients"]) for point in curve if "gradients" in point]
    for name in dict.fromkeys(name for epoch in epochs for name in epoch):
        values = [epoch[name] for epoch in epochs if name in epoch]
        row[name] = sum(values) / len(values)
    return row


def _of_epoch(gradients: Mapping[str, Any]) -> dict[str, float]:
    """Columns of one epoch's gradients; those of pairs where two tasks had one."""
    norms = gradients["norms"]
    columns = flatten(norms, "train.gradient_norm")
    cosines = flatten(gradients["cosines"], "train.gradient_cosine")
    if cosines:
        columns["train.norm_ratio"] = max(norms.values()) / min(norms.values())
        columns["train.conflict_rate"] = gradients["conflict_rate"]
        columns["train.gradient_cosine"] = sum(cosines.values()) / len(cosines)
    return columns | cosines


def _time(record: Record) -> dict[str, Any]:
    if "summary" not in record:
        return {}
    summary = dict(record["summary"])
    row = {"samples_per_s": summary.pop("samples_per_s", None), **_cost(record.get("cost", {}))}
    row |= {f"time.{key}": record[key] for key in ("mode", "batch_size", "block", "device_name")}
    row |= {f"time.{key}": value for key, value in summary.items()}
    weighting = record.get("config", {}).get("weighting", {})
    row["time.backward"] = "joint" if weighting.get("space") is None else "per_task"
    row["time.stop"] = record.get("samples", {}).get("stop")
    if reference := _medians(record, "reference"):
        ends = ("reference_ms", "reference_lo_ms", "reference_hi_ms")
        row |= {f"time.{end}": x for end, x in zip(ends, typical_ms(reference), strict=True)}
    return row


def _cost(cost: Mapping[str, Any]) -> dict[str, Any]:
    """Memory and FLOPs of a timed step, of its phases and of the parts of its model."""
    row = {name: cost.get(name) for name in ("peak_mib", "reserved_mib", "flops") if name in cost}
    for name, whole in (("phase_peak_mib", "peak_mib"), ("phase_flops", "flops")):
        row |= flatten(cost.get(name, {}), whole)
    return row | flatten(cost.get("part_flops", {}), "flops")
