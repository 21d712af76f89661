from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from bench.cli import main
from bench.execution.locks import UnitLock
from bench.status import status_text
from bench.store import Store


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
    assert "1 diverged, 1 missing" in status_text(Store(results))
    lock = UnitLock(Store(results).locks, good)
    assert lock.acquire("lr=0.01 seed 0")
    text = status_text(Store(results))
    assert "1 diverged, 1 running" in text
    assert "running: lr=0.01 seed 0 (process " in text
    lock.release()


def test_a_folder_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--results", str(tmp_path / "no")]) == 2
    assert "there is no such folder" in capsys.readouterr().err
