from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.errors import InputError
from bench.exporting.runs import runs_of
from bench.exporting.wandb import MARK, column, write_wandb
from tests.bench.exporting.conftest import record


@pytest.fixture
def _installed() -> None:
    pytest.importorskip("wandb")


def _read(folder: Path) -> dict[str, Any]:
    """What W&B's own reader finds: the run, its configuration, history, summary and exit code."""
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(folder)]
    quiet = {**os.environ, "WANDB_ERROR_REPORTING": "false"}
    out = subprocess.run(command, capture_output=True, text=True, check=True, env=quiet).stdout
    found: dict[str, Any] = {"history": [], "summary": {}, "exit": None}
    for line in out.splitlines():
        entry = json.loads(line)
        if entry["type"] == "run":
            found |= {"run": entry["run"], "config": entry["run"]["config"]["update"]}
        elif entry["type"] == "history":
            found["history"].append(entry["history"]["item"])
        elif entry["type"] == "summary":
            found["summary"] |= entry["summary"]["update"]
        elif entry["type"] == "exit":
            found["exit"] = entry["exit"].get("exit_code", 0)
    return found


@pytest.mark.usefixtures("_installed")
def test_what_is_written_reads_back(own: Path) -> None:
    runs, _ = runs_of(own)
    done = write_wandb(runs, own, "mine")
    assert (done.where, done.written, done.same) == (own / "wandb", 3, 0)
    first, failed, odd = (_read(next(done.where.glob(f"*-{run.id}"))) for run in runs)
    assert first["run"]["run_id"] == runs[0].id
    assert first["run"]["display_name"] == "plain, seed 0"
    assert first["run"]["run_group"] == "own"
    assert first["run"]["project"] == "mine"
    config = {"lr": 0.1, "width": 8, "clip": None, "nesterov": True, "variant": "plain", "seed": 0}
    assert config.items() <= first["config"].items()
    assert [point["_step"] for point in first["history"]] == [1, 2]
    assert [point["epoch/val/score"] for point in first["history"]] == [0.25, 0.5]
    assert first["summary"]["test/digit/accuracy"] == 0.5
    assert first["summary"]["status"] == "ok"
    assert first["exit"] == 0
    assert failed["exit"] == 1
    assert failed["summary"]["status"] == "diverged"
    assert "not finite" in failed["summary"]["reason"]
    names = {column("test.a b.accuracy"), column("test.a/b.accuracy")}
    assert {odd["summary"][name] for name in names} == {0.75, 0.25}
    assert odd["config"]["width"] == "wide"


@pytest.mark.usefixtures("_installed")
def test_again_writes_only_what_has_changed_and_nothing_twice(own: Path) -> None:
    runs, _ = runs_of(own)
    folder = write_wandb(runs, own, None).where
    before = set(folder.glob("offline-run-*"))
    assert write_wandb(runs, own, None).same == 3
    assert set(folder.glob("offline-run-*")) == before
    record(own.parent, seed=1)
    next(folder.glob(f"*-{runs[0].id}/{MARK}")).unlink()  # as if it had been killed there
    runs, _ = runs_of(own)
    done = write_wandb(runs, own, None)
    assert (done.written, done.same) == (2, 1)
    assert len(list(folder.glob("offline-run-*"))) == 3
    assert _read(next(folder.glob(f"*-{runs[1].id}")))["summary"]["status"] == "ok"
    assert write_wandb(runs, own, "elsewhere").written == 3
    assert _read(next(folder.glob(f"*-{runs[1].id}")))["run"]["project"] == "elsewhere"
    assert len(list(folder.glob("offline-run-*"))) == 3


@pytest.mark.usefixtures("_installed")
def test_what_wandb_refuses_is_bad_input(own: Path, tmp_path: Path) -> None:
    runs, _ = runs_of(own)
    with pytest.raises(InputError, match="project name"):
        write_wandb(runs, own, "a/b")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="nothing can be written"):
        write_wandb(runs, tmp_path / "file", None)


def test_without_the_package_it_is_named(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(InputError, match=re.escape("pip install 'mtmm-bench[wandb]'")):
        write_wandb([], own, None)


def test_dots_become_what_wandb_groups_by() -> None:
    assert column("val.script.accuracy") == "val/script/accuracy"
    assert column("val.a/b") != column("val.a.b")
