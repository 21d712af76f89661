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

from bench import running
from bench.api import plan
from bench.errors import InputError
from bench.execution import timing
from bench.execution.isolated import call_isolated
from bench.execution.locks import UnitLock
from bench.execution.run import Options, Run
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
    outcome = go(suite, tmp_path)
    assert (outcome.ran, outcome.reused, len(outcome.moved)) == (1, 3, 1)
    assert go(suite, tmp_path).moved == ()


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
    assert (outcome.reused, outcome.not_run) == (0, 2)


def test_a_timing_process_that_dies_is_a_record_until_it_is_to_be_tried_again(
    suite: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite |= {"seeds": 1, "timing": {"modes": ["inference"], "budget_s": 0.1}}
    with monkeypatch.context() as patch:
        patch.setattr(timing, "call_isolated", lambda *_, **__: call_isolated(os._exit, 1))
        outcome = go(suite, tmp_path)
    assert len(outcome.failed) == 2
    assert "the timing process died: exit code 1" in outcome.failed[0][1]
    assert set(load_frame(tmp_path / "small")["status"]) == {"ok", "error"}
    again = go(suite, tmp_path)
    assert (again.ran, again.reused, again.failed) == (0, 4, outcome.failed)
    again = go(suite, tmp_path, retry_failed=True)
    assert (again.ran, again.reused, again.failed) == (2, 2, ())
    assert len(list((tmp_path / "set-aside").iterdir())) == 2


def test_what_cannot_be_trained_is_not_timed(suite: dict[str, Any], tmp_path: Path) -> None:
    suite |= {"seeds": 1, "timing": {"modes": ["inference"], "budget_s": 0.1}}
    suite["sweep"] = [{"sharing": ["hard", "separate"]}]
    bad = plan(suite).cells("cpu")["separate", 0]
    Store(tmp_path).write(bad.id, {"kind": "train", "status": "error", "reason": "exit code 3"})
    outcome = go(suite, tmp_path)
    assert (outcome.ran, outcome.reused) == (3, 1)
    assert [label for label, _ in outcome.failed] == ["separate seed 0"]
    frame = load_frame(tmp_path / "small")
    timed = frame[frame["kind"] == "time"]
    assert dict(zip(timed["variant"], timed["status"], strict=True)) == {
        "hard": "ok",
        "separate": "skipped",
    }
    assert set(timed["reason"]) == {"", "not trained: error: exit code 3"}
    assert go(suite, tmp_path).ran == 0
    again = go(suite, tmp_path, retry_failed=True)
    assert (again.ran, again.reused, again.failed) == (3, 1, ())


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


@pytest.mark.parametrize("function", ["write_manifest", "folder_of_run"])
def test_a_disk_that_is_full_is_told_before_anything_runs(
    suite: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(running, function, full)
    with pytest.raises(InputError, match=r"nothing can be written there: .*No space left"):
        go(suite, tmp_path)


def test_a_cell_that_cannot_be_locked_fails_alone(
    suite: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    acquire, count = UnitLock.acquire, 0

    def full_once(self: UnitLock, label: str) -> bool:
        nonlocal count
        count += 1
        if count == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        return acquire(self, label)

    with monkeypatch.context() as patch:
        patch.setattr(UnitLock, "acquire", full_once)
        outcome = go(suite, tmp_path)
    ((label, reason),) = outcome.failed
    assert label == "separate seed 0"
    assert "it could not be started" in reason
    assert go(suite, tmp_path) == Outcome(1, 3, ())


def test_what_another_run_has_tried_again_since_is_left_alone(tmp_path: Path) -> None:
    store = Store(tmp_path)
    failed = {"kind": "train", "status": "error", "reason": "no"}
    store.write("a1", failed)
    options = Options(devices=(torch.device("cpu"),))
    run = Run(store, options, "environment", tmp_path, again={"a1": store.stamp("a1")})
    os.utime(store.path("a1"), ns=(1, 1))
    run.set_aside("a1")
    assert store.has("a1")
    os.utime(store.path("a1"), ns=(run.again["a1"], run.again["a1"]))
    run.set_aside("a1")
    assert not store.has("a1")


def test_a_time_limit_is_told_not_to_hold_in_this_process(
    suite: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = Options(devices=(torch.device("cpu"),), workers=0, timeout_s=60)
    run_plan(plan(suite), Store(tmp_path), options, Progress(Console()))
    assert "--timeout does not hold for them" in capsys.readouterr().out


def test_a_run_leaves_nothing_of_what_its_processes_share(finished: Path) -> None:
    assert [path.name for path in (finished.parent / "shared").iterdir()] == ["lock"]


def test_the_environment_is_stored_once(finished: Path) -> None:
    (only,) = (finished.parent / "environments").iterdir()
    described = json.loads(only.read_text(encoding="utf-8"))
    assert described["identity"]["packages"]["torch"] == torch.__version__.partition("+")[0]
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
