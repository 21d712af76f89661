"""Several processes work on one search; some are killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from optuna.trial import TrialState

from tests.bench.search.test_search_command import SUITE, trials_of

TRIALS = 3
LONGEST_S = 120


def start(folder: Path, epochs: int = 1, workers: int = 0) -> subprocess.Popen[bytes]:
    path = folder / "tiny.yaml"
    text = SUITE.replace("trials: 2", f"trials: {TRIALS}").replace("epochs: 1", f"epochs: {epochs}")
    path.write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "bench", "search", str(path), "--device", "cpu", "-q"]
    folders = ["--results", str(folder / "results"), "--workers", str(workers)]
    return subprocess.Popen([*command, *folders], stdout=subprocess.DEVNULL, start_new_session=True)


def test_two_processes_share_the_trials_of_every_arm(tmp_path: Path) -> None:
    both = [start(tmp_path), start(tmp_path)]
    assert [process.wait(LONGEST_S) for process in both] == [0, 0]
    for trials in trials_of(tmp_path).values():
        assert [trial.state for trial in trials] == [TrialState.COMPLETE] * TRIALS
        rates = {trial.params["train.optimizer.lr"] for trial in trials}
        assert len(rates) == TRIALS


def test_workers_of_one_command_share_the_trials(tmp_path: Path) -> None:
    # Trials that are long beside the start of a process.
    assert start(tmp_path, epochs=25, workers=2).wait(LONGEST_S) == 0
    spans = []
    for trials in trials_of(tmp_path).values():
        assert [trial.state for trial in trials] == [TrialState.COMPLETE] * TRIALS
        rates = {trial.params["train.optimizer.lr"] for trial in trials}
        assert len(rates) == TRIALS
        spans += [(trial.datetime_start, trial.datetime_complete) for trial in trials]
    assert any(a[0] < b[1] and b[0] < a[1] for a in spans for b in spans if a is not b)


def test_what_a_killed_process_was_at_is_tried_again(tmp_path: Path) -> None:
    first = start(tmp_path, epochs=20)
    end = time.monotonic() + LONGEST_S
    while not _is_at_work(tmp_path) and time.monotonic() < end:
        time.sleep(0.1)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    (killed,) = trials_of(tmp_path)["equal"]
    assert killed.state == TrialState.RUNNING
    assert start(tmp_path, epochs=20).wait(LONGEST_S) == 0
    trials = trials_of(tmp_path)["equal"]
    assert trials[0].state == TrialState.FAIL
    assert trials[1].params == killed.params
    assert [trial.state for trial in trials[1:]] == [TrialState.COMPLETE] * TRIALS


def _is_at_work(folder: Path) -> bool:
    if not (folder / "results" / "tiny-tuned" / "study.journal").exists():
        return False
    trials = trials_of(folder).get("equal", [])
    return bool(trials) and bool(trials[0].params)
