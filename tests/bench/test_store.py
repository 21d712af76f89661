from __future__ import annotations

import json
import math
import os
import re
from pathlib import Path
from typing import Any

import pytest

from bench.records import UnusableError
from bench.sections import name as checked_name
from bench.store import Store, write_text
from mtmm.settings import Problem

RECORD = {"kind": "train", "status": "error", "reason": "no"}


def test_a_record_comes_back_with_its_identity_and_version(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write("a1", {**RECORD, "x": [1.5, math.nan]})
    assert store.read("a1") == {"schema_version": 2, "id": "a1", **RECORD, "x": [1.5, None]}
    assert store.read("b2") is None


NO_RECORDS = {
    "empty": ("", "it is cut off or no JSON"),
    "cut off": ('{"schema_version": 2, "id": "a1"', "it is cut off or no JSON"),
    "a list": ("[]", "it is not the record of that name"),
    "deep": ("[" * 100_000, "it is cut off or no JSON"),
    "newer": ('{"schema_version": 99, "id": "a1"}', "its version is 99, this program reads 2"),
    "no version": ('{"id": "a1"}', "its version is None"),
    "no status": ('{"schema_version": 2, "id": "a1", "kind": "train"}', "it has no 'status'"),
    "another's": ('{"schema_version": 2, "id": "other"}', "it is not the record of that name"),
}


@pytest.mark.parametrize("case", NO_RECORDS)
def test_what_is_no_record_of_ours_is_not_read_as_one_and_is_set_aside(
    case: str, tmp_path: Path
) -> None:
    text, reason = NO_RECORDS[case]
    store = Store(tmp_path)
    store.write("a1", RECORD)
    (tmp_path / "cells" / "a1.json").write_text(text)
    assert store.read("a1") is None
    with pytest.raises(UnusableError, match=re.escape(reason)):
        store.look("a1")
    assert not store.has("a1")
    assert list(store.records()) == []
    store.write("a1", RECORD)
    assert store.has("a1")
    (kept,) = (tmp_path / "set-aside").iterdir()
    assert kept.read_text() == text
    (told,) = store.moved
    assert told.startswith(f"{tmp_path / 'cells' / 'a1.json'}: {reason}")
    assert told.endswith(f"kept as {kept}")


def test_a_record_of_an_older_version_is_read(tmp_path: Path) -> None:
    (tmp_path / "cells").mkdir()
    old = {"schema_version": 1, "id": "a1", **RECORD, "scores": {"val": 0.5, "test": 0.4}}
    (tmp_path / "cells" / "a1.json").write_text(json.dumps(old))
    record = Store(tmp_path).read("a1")
    assert record is not None
    assert record["scores"] == old["scores"]
    assert record["task_scores"] == {"val": {}, "test": {}}


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    write_text(path, "old")

    def fail(*_: Any) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="no space left"):
        write_text(path, "new")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
    assert path.read_text() == "old"


def test_an_environment_is_kept_once_under_a_name_of_its_content(tmp_path: Path) -> None:
    store = Store(tmp_path)
    name = store.write_environment({"torch": "2", "cpu": "x"})
    assert store.write_environment({"cpu": "x", "torch": "2"}) == name
    assert store.write_environment({"cpu": "y", "torch": "2"}) != name
    kept = json.loads((tmp_path / "environments" / f"{name}.json").read_text())
    assert kept == {"torch": "2", "cpu": "x"}


def test_a_file_is_on_the_disk_before_it_takes_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    def noted(name: str) -> Any:
        real = getattr(os, name)

        def call(*arguments: Any) -> None:
            calls.append(name)
            real(*arguments)

        return call

    for name in ("fsync", "replace"):
        monkeypatch.setattr(os, name, noted(name))
    write_text(tmp_path / "file", "text")
    assert calls == ["fsync", "replace"]
    assert (tmp_path / "file").read_text() == "text"


def test_no_suite_can_have_the_name_of_a_folder_of_the_store(tmp_path: Path) -> None:
    store = Store(tmp_path)
    folders = {path("a").parent.name for path in (store.path, store.log, store.checkpoint)}
    folders |= {store.locks.name, store.shared.name}
    (tmp_path / "cells").mkdir()
    store.path("a").write_text("")
    store.set_aside("a", "no")
    store.write_environment({})
    folders |= {path.name for path in tmp_path.iterdir()}
    assert len(folders) == 7
    for folder in folders:
        problems: list[Problem] = []
        checked_name(folder, problems)
        assert "is a folder of the results" in problems[0].message


def test_half_a_surrogate_pair_is_kept_as_text(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write("a" * 32, {"kind": "train", "status": "error", "reason": "no file x\udcff, 中"})
    record = store.read("a" * 32)
    assert record is not None
    assert record["reason"] == "no file x\\udcff, 中"
    record["reason"].encode("utf-8")
