from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from rich.console import Console

from bench.api import plan
from bench.execution import timing
from bench.execution.isolated import call_isolated
from bench.execution.training import Options
from bench.progress import Progress
from bench.report.frame import load_frame
from bench.running import Outcome, run_plan
from bench.store import Store


def go(suite: dict[str, Any], root: Path, **options: Any) -> Outcome:
    how = Options(**{"devices": (torch.device("cpu"),), "workers": 0, **options})
    return run_plan(plan(suite), Store(root), how, Progress(Console(), quiet=True))


def test_what_is_there_is_not_run_again(suite: dict[str, Any], tmp_path: Path) -> None:
    assert go(suite, tmp_path) == Outcome(4, 0, ())
    assert go(suite, tmp_path) == Outcome(0, 4, ())
    suite["seeds"] = 3
    assert go(suite, tmp_path) == Outcome(2, 4, ())


def test_suites_share_the_records_of_equal_cells(suite: dict[str, Any], tmp_path: Path) -> None:
    go(suite, tmp_path)
    suite["name"] = "other"
    suite["sweep"] = [{"sharing": ["separate"]}, {"weighting": ["uncertainty"]}]
    assert go(suite, tmp_path) == Outcome(2, 4, ())
    assert len(load_frame(tmp_path / "other")) == 6


def test_a_lost_record_is_run_again(suite: dict[str, Any], tmp_path: Path) -> None:
    go(suite, tmp_path)
    victim = sorted((tmp_path / "cells").iterdir())[0]
    victim.write_text("{")
    assert go(suite, tmp_path) == Outcome(1, 3, ())


def test_a_block_is_timed_whole_or_read(suite: dict[str, Any], tmp_path: Path) -> None:
    suite |= {"seeds": 1, "timing": {"modes": ["inference"], "budget_s": 0.1}}
    assert go(suite, tmp_path) == Outcome(4, 0, ())
    assert go(suite, tmp_path) == Outcome(0, 4, ())
    suite["sweep"] = [{"sharing": ["hard", "separate"]}, {"weighting": ["uncertainty"]}]
    assert go(suite, tmp_path).ran == 1 + 3  # one new cell; a new arm: the block is timed anew


def test_variants_that_differ_in_the_schedule_share_an_arm(suite: dict[str, Any]) -> None:
    suite |= {"sweep": [{"train.schedule": ["constant", "cosine"]}], "timing": {}}
    planned = plan(suite)
    assert len(planned.variants) == 2
    assert [len(block.arms) for block in planned.blocks("machine")] == [1, 1]


def test_a_shared_unit_counts_once(suite: dict[str, Any], tmp_path: Path) -> None:
    suite |= {"seeds": 1, "timing": {"modes": ["inference"], "budget_s": 0.1}}
    suite["sweep"] = [{"train.schedule": ["constant", "cosine"]}]
    assert go(suite, tmp_path) == Outcome(3, 0, ())
    assert go(suite, tmp_path) == Outcome(0, 3, ())


def test_failed_cells_are_told_and_the_others_go_on(suite: dict[str, Any], tmp_path: Path) -> None:
    suite["sweep"] = [{"train.optimizer.lr": [0.01, 1e6]}]
    outcome = go(suite, tmp_path)
    assert [label for label, _ in outcome.failed] == ["lr=1e+06 seed 0", "lr=1e+06 seed 1"]
    assert all(reason.startswith("diverged: ") for _, reason in outcome.failed)
    assert str(tmp_path / "cells") in outcome.failed[0][1]  # where to look, and what to delete
    frame = load_frame(tmp_path / "small")
    assert sorted(frame["status"]) == ["diverged", "diverged", "ok", "ok"]
    assert go(suite, tmp_path).ran == 0  # what failed stays failed
    again = go(suite, tmp_path, retry_failed=True)
    assert (again.ran, len(again.failed)) == (2, 2)
    assert len(list((tmp_path / "set-aside").iterdir())) == 2


def test_fail_fast_ends_with_the_first_failure(suite: dict[str, Any], tmp_path: Path) -> None:
    suite["sweep"] = [{"train.optimizer.lr": [1e6, 0.01]}]
    suite["baseline"] = {"train.optimizer.lr": 0.01}
    outcome = go(suite, tmp_path, fail_fast=True)
    assert outcome.ran == 2
    assert len(outcome.failed) == 1
    assert "ended by the first failure" in outcome.stopped


def test_a_timing_process_that_dies_is_a_record_and_its_block_is_tried_again(
    suite: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite |= {"seeds": 1, "timing": {"modes": ["inference"], "budget_s": 0.1}}
    with monkeypatch.context() as patch:
        patch.setattr(timing, "call_isolated", lambda *_: call_isolated(os._exit, 1))
        outcome = go(suite, tmp_path)
    assert len(outcome.failed) == 2
    assert "the timing process died: exit code 1" in outcome.failed[0][1]
    assert set(load_frame(tmp_path / "small")["status"]) == {"ok", "error"}
    assert go(suite, tmp_path) == Outcome(2, 2, ())


def test_a_record_that_cannot_be_written_fails_alone(
    suite: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace, count = os.replace, 0

    def full_once(source: Any, target: Any) -> None:
        nonlocal count
        if Path(target).parent.name == "cells":
            count += 1
            if count == 2:
                raise OSError(errno.ENOSPC, "No space left on device")
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full_once)
        outcome = go(suite, tmp_path)
    ((label, reason),) = outcome.failed
    assert label == "separate seed 0"
    assert "could not be written" in reason
    assert "No space left on device" in reason
    assert sorted(load_frame(tmp_path / "small")["status"]) == ["missing", "ok", "ok", "ok"]
    assert not [path for path in (tmp_path / "cells").iterdir() if path.name.startswith(".")]
    assert go(suite, tmp_path) == Outcome(1, 3, ())


def test_the_environment_is_stored_once(finished: Path) -> None:
    (only,) = (finished.parent / "environments").iterdir()
    described = json.loads(only.read_text(encoding="utf-8"))
    assert described["packages"]["torch"] == torch.__version__.partition("+")[0]
    records = [json.loads(p.read_text()) for p in (finished.parent / "cells").iterdir()]
    assert {record["environment"] for record in records} == {only.stem}


def test_a_new_process_with_nothing_to_reuse_gives_the_same_bits(
    suite: dict[str, Any], tmp_path: Path
) -> None:
    file = tmp_path / "small.yaml"
    file.write_text(yaml.safe_dump(suite), encoding="utf-8")
    for folder in ("one", "two"):
        command = [sys.executable, "-m", "bench", "run", str(file), "-q", "--device", "cpu"]
        subprocess.run([*command, "--results", str(tmp_path / folder)], check=True)
    one, two = (load_frame(tmp_path / folder / "small") for folder in ("one", "two"))
    numbers = [c for c in one.columns if c.startswith(("val.", "test."))]
    assert numbers
    assert one[numbers].to_numpy().tobytes() == two[numbers].to_numpy().tobytes()
