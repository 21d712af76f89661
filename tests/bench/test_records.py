from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench import cell, records
from bench.api import plan
from bench.manifest import write_manifest
from bench.records import UnusableError, as_manifest, as_record
from bench.store import Store

HEAD = {"schema_version": records.SCHEMA_VERSION, "id": "a"}
TRAINED = HEAD | {
    "kind": "train",
    "status": "ok",
    "reason": "",
    "config": {},
    "seconds": 1.5,
    "steps": 3,
    "samples": 30,
    "params": 10,
    "epochs": {},
    "val": {},
    "test": {},
    "scores": {"val": 0.5, "test": 0.5},
    "task_scores": {"val": {}, "test": {}},
    "curve": [],
}
TIMED = HEAD | {
    "kind": "time",
    "status": "error",
    "reason": "no",
    "mode": "train",
    "batch_size": 8,
    "block": "b",
    "device_name": "d",
    "summary": {},
}


@pytest.mark.parametrize("record", [TRAINED, TIMED])
def test_whatever_a_reader_needs_has_to_be_there(record: dict[str, Any]) -> None:
    assert as_record(record, "a") == record
    for key in set(record) - set(HEAD):
        without = {name: value for name, value in record.items() if name != key}
        with pytest.raises(UnusableError, match=f"it has no '{key}'"):
            as_record(without, "a")
        with pytest.raises(UnusableError, match=f"its '{key}' is of another kind"):
            as_record({**record, key: ["no", "such"] if key != "curve" else "none"}, "a")


def test_a_score_that_is_missing_is_named() -> None:
    with pytest.raises(UnusableError, match=r"it has no 'scores\.test'"):
        as_record({**TRAINED, "scores": {"val": 0.5}}, "a")


def test_a_failed_cell_needs_its_reason_only() -> None:
    failed = HEAD | {"kind": "train", "status": "timeout", "reason": "too long"}
    assert as_record(failed, "a") == failed


def test_a_manifest_says_what_it_lacks(suite: dict[str, Any], tmp_path: Path) -> None:
    planned = plan(suite)
    write_manifest(planned, Store(tmp_path), planned.cells("cpu"), [], "a command")
    for manifest, reason in (
        ([], "it is not a manifest"),
        ({"schema_version": 99}, "its version is 99, this program reads 2"),
        ({"schema_version": 2}, "it has no 'suite'"),
    ):
        with pytest.raises(UnusableError, match=reason):
            as_manifest(manifest)


def test_a_file_of_an_older_version_goes_through_every_reader(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(records, "MANIFEST_VERSION", 4)
    readers = {
        2: lambda old: {**old, "new": 1},
        3: lambda old: {**old, "new": old["new"] + 1},
    }
    monkeypatch.setattr(records, "_MANIFESTS", readers)
    old: dict[str, Any] = {"schema_version": 2, "suite": "s", "question": "", "baseline": "b"}
    old |= {"single_task": {}, "command": "", "skips": [], "metrics": {}, "variants": []}
    assert as_manifest(old) == {**old, "new": 2}


def test_a_new_version_of_the_files_leaves_identities_as_they_are(
    config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = cell.TrainCell(config, 0, "d", "cpu").id
    monkeypatch.setattr(records, "SCHEMA_VERSION", records.SCHEMA_VERSION + 1)
    assert cell.TrainCell(config, 0, "d", "cpu").id == before
    monkeypatch.setattr(cell, "IDENTITY_VERSION", cell.IDENTITY_VERSION + 1)
    assert cell.TrainCell(config, 0, "d", "cpu").id != before
