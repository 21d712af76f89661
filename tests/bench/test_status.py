from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from bench.api import plan
from bench.cli import main
from bench.execution.locks import UnitLock
from bench.manifest import write_manifest
from bench.status import status_text
from bench.store import Store


def told(results: Path) -> str:
    text, readable = status_text(Store(results))
    assert readable
    return text


def test_units_by_state_failures_and_what_runs(
    suite: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite["sweep"] = [{"train.optimizer.lr": [0.01, 1e6]}]
    suite["seeds"] = 1
    file, results = tmp_path / "small.yaml", tmp_path / "results"
    file.write_text(yaml.safe_dump(suite))
    assert main(["run", str(file), "--results", str(results), "-q", "--workers", "0"]) == 1
    capsys.readouterr()
    assert main(["status", "--results", str(results)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("small: 2 units: 1 diverged, 1 ok\n  lr=1e+06 seed 0: diverged: a loss")
    good = next(r["id"] for r in Store(results).records() if r["status"] == "ok")
    (results / "cells" / f"{good}.json").unlink()
    assert "1 diverged, 1 missing" in told(results)
    lock = UnitLock(Store(results).locks, good)
    assert lock.acquire("lr=0.01 seed 0")
    text = told(results)
    assert "1 diverged, 1 running" in text
    assert "running: lr=0.01 seed 0 (process " in text
    lock.release()
    (results / "cells" / f"{good}.json").write_text(f'{{"schema_version": 99, "id": "{good}"}}')
    text = told(results)
    assert "1 diverged, 1 unusable" in text
    assert "lr=0.01 seed 0: unusable: its version is 99" in text


def test_a_block_in_work_runs_all_of_its_arms(suite: dict[str, Any], tmp_path: Path) -> None:
    suite |= {"seeds": 1, "timing": {"modes": ["train"]}}
    planned, store = plan(suite), Store(tmp_path)
    (block,) = planned.blocks("machine")
    write_manifest(planned, store, planned.cells("cpu"), [block], "a command")
    assert "4 missing" in told(tmp_path)
    lock = UnitLock(store.locks, block.id)
    assert lock.acquire("timing: train at batch size 32")
    assert "2 missing, 2 running" in told(tmp_path)
    lock.release()


def test_one_manifest_that_cannot_be_read_hides_no_other_suite(
    suite: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    planned, store = plan(suite), Store(tmp_path)
    write_manifest(planned, store, planned.cells("cpu"), [], "a command")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "manifest.json").write_text("{")
    assert main(["status", "--results", str(tmp_path)]) == 2
    first, second = capsys.readouterr().out.splitlines()
    assert "not a manifest" in first
    assert second == "small: 4 units: 4 missing"
    assert main(["report", str(tmp_path / "broken"), str(tmp_path / "small")]) == 2
    out, err = capsys.readouterr()
    assert "not a manifest" in err
    assert "small: Does it run?" in out


def test_a_folder_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--results", str(tmp_path / "no")]) == 2
    assert "there is no such folder" in capsys.readouterr().err


def test_a_search_that_was_interrupted_is_there(tmp_path: Path) -> None:
    for name, ended in (("a-tuned", True), ("b-tuned", False)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "study.journal").touch()
        if ended:
            (tmp_path / name / "manifest.json").touch()
    text, _ = status_text(Store(tmp_path))
    assert "b-tuned: a search that is not at its end" in text.splitlines()
    assert "a-tuned: a search" not in text
