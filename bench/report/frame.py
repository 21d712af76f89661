"""Records to one tidy DataFrame: one row per record, units in the column names."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from bench.errors import InputError
from bench.store import MANIFEST_VERSION, Record, Store

MISSING = {"kind": "", "status": "missing", "reason": "not run yet"}


def load_manifest(folder: str | Path) -> dict[str, Any]:
    """The manifest in a suite's results folder; raises InputError where there is none."""
    path = Path(folder) / "manifest.json"
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        text = f"{folder}: no results of a suite here ({path.name}: {error.strerror})"
        raise InputError(text) from None
    except ValueError as error:
        raise InputError(f"{path}: not a manifest: {error}") from None
    if not isinstance(manifest, dict) or manifest.get("schema_version") != MANIFEST_VERSION:
        raise InputError(f"{path}: made by another version: run the suite again")
    return manifest


def load_frame(folder: str | Path) -> pd.DataFrame:
    """One row per record of a suite, in the order of its variants and seeds.

    Columns: `suite, variant, kind, seed, status, reason`, the resolved configuration as
    `config.<path>`, `train.*`, `val.<task>.<metric>`, `test.<task>.<metric>`,
    `val.<task>.score`, `test.<task>.score`, `val.score`, `test.score`, `params`, and on rows of
    kind `time` also `time.*`, `samples_per_s`, `peak_mib`, `flops`. What a unit did not produce
    is missing in its row.
    """
    folder = Path(folder)
    manifest = load_manifest(folder)
    return pd.DataFrame(list(_rows(manifest, Store(folder.parent))))


def _rows(manifest: Mapping[str, Any], store: Store) -> Iterator[dict[str, Any]]:
    for variant in manifest["variants"]:
        head = {"suite": manifest["suite"], "variant": variant["name"]}
        config = flatten(variant["config"], "config")
        for cell in variant["train"]:
            record = store.read(cell["record"]) or {**MISSING, "kind": "train"}
            yield {**head, **_status(record), "seed": cell["seed"], **config, **_train(record)}
        for identity in variant["time"]:
            record = store.read(identity) or {**MISSING, "kind": "time"}
            yield {**head, **_status(record), **config, **_time(record)}


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
    return {key: record[key] for key in ("kind", "status", "reason")}


def _train(record: Record) -> dict[str, Any]:
    if record["status"] != "ok":
        return {}
    row = {
        "train.seconds": record["seconds"],
        "train.steps": record["steps"],
        "train.samples": record["samples"],
        "params": record["params"],
    }
    row |= {f"train.epoch.{task}": epoch for task, epoch in record["epochs"].items()}
    for split in ("val", "test"):
        row |= flatten(record[split], split)
        row[f"{split}.score"] = record["scores"][split]
        row |= {f"{split}.{task}.score": x for task, x in record["task_scores"][split].items()}
    return row


def _time(record: Record) -> dict[str, Any]:
    if "summary" not in record:
        return {}
    summary = dict(record["summary"])
    cost = record.get("cost", {})
    row = {"samples_per_s": summary.pop("samples_per_s", None)}
    row |= {name: cost.get(name) for name in ("peak_mib", "flops")}
    row |= {f"time.{key}": record[key] for key in ("mode", "batch_size", "block", "device_name")}
    return row | {f"time.{key}": value for key, value in summary.items()}
