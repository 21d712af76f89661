"""What a record and a manifest hold: files of older versions are read, what is neither is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Record = dict[str, Any]

SCHEMA_VERSION = 2
"""Of the files of records. Identities have a version of their own."""

MANIFEST_VERSION = 2

FINE = ("ok", "skipped", "pruned")
"""The statuses of units that have not failed."""


def _from_1(record: Record) -> Record:
    """Version 1 had no score for each task."""
    return {"task_scores": {"val": {}, "test": {}}, **record}


_Readers = Mapping[int, Callable[[dict[str, Any]], dict[str, Any]]]

_RECORDS: _Readers = {1: _from_1}
_MANIFESTS: _Readers = {}
"""What brings a file of an older version one version further."""

_ALL: Mapping[str, type] = {"kind": str, "status": str, "reason": str}
_TRAINED: Mapping[str, type] = {
    "config": dict,
    "seconds": float,
    "steps": float,
    "samples": float,
    "params": float,
    "epochs": dict,
    "val": dict,
    "test": dict,
    "scores": dict,
    "task_scores": dict,
    "curve": list,
}
_TIMED: Mapping[str, type] = {
    "mode": str,
    "batch_size": int,
    "block": str,
    "device_name": str,
    "summary": dict,
}
_PROFILED: Mapping[str, type] = {"batch_size": int, "overhead": float, "summary": dict}
_MANIFEST: Mapping[str, type] = {
    "suite": str,
    "question": str,
    "baseline": str,
    "single_task": dict,
    "command": str,
    "skips": list,
    "metrics": dict,
    "variants": list,
}
_VARIANT: Mapping[str, type] = {
    "name": str,
    "compared": bool,
    "varied": list,
    "config": dict,
    "train": list,
    "time": list,
}


class UnusableError(ValueError):
    """A file in the place of a record or a manifest that is none: the text says why."""


def as_record(value: object, identity: str) -> Record:
    """The record of that identity, in the newest version; UnusableError if it is none."""
    if not isinstance(value, dict) or value.get("id") != identity:
        raise UnusableError("it is not the record of that name")
    record = _newest(value, SCHEMA_VERSION, _RECORDS)
    _check(record, _ALL)
    if record["kind"] == "time":
        _check(record, _TIMED)
    elif record["kind"] == "profile":
        if record["status"] == "ok":
            _check(record, _PROFILED)
    elif record["status"] == "ok":
        _check(record, _TRAINED)
        for key in ("scores", "task_scores"):
            _check(record[key], dict.fromkeys(("val", "test"), object), f"{key}.")
    return record


def as_manifest(value: object) -> dict[str, Any]:
    """The manifest of a suite, in the newest version; UnusableError if it is none."""
    if not isinstance(value, dict):
        raise UnusableError("it is not a manifest")
    manifest = _newest(value, MANIFEST_VERSION, _MANIFESTS)
    _check(manifest, _MANIFEST)
    for i, variant in enumerate(manifest["variants"]):
        if not isinstance(variant, dict):
            raise UnusableError(f"variants[{i}] is no mapping")
        _check(variant, _VARIANT, f"variants[{i}].")
    return manifest


def _newest(value: dict[str, Any], newest: int, readers: _Readers) -> dict[str, Any]:
    version = value.get("schema_version")
    if not isinstance(version, int) or version > newest or version < min(readers, default=newest):
        raise UnusableError(f"its version is {version!r}, this program reads {newest}")
    while version < newest:
        value = readers[version](value)
        version += 1
    return value


def _check(value: Mapping[str, Any], keys: Mapping[str, type], prefix: str = "") -> None:
    for key, kind in keys.items():
        if key not in value:
            raise UnusableError(f"it has no '{prefix}{key}'")
        found = value[key]
        # What was not finite is null; a whole number of seconds is one too.
        fine = found is None or isinstance(found, int) if kind is float else False
        if not fine and not isinstance(found, kind):
            raise UnusableError(f"its '{prefix}{key}' is of another kind: {found!r:.50}")
