"""Killed at any instant and started again: nothing lost, nothing twice, the same numbers."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from bench.report.frame import load_frame

ROOT = Path(__file__).resolve().parents[2]
KILLS = int(os.environ.get("MTMM_KILLS", "5"))


@pytest.fixture
def file(suite: dict[str, Any], tmp_path: Path) -> Path:
    suite |= {"seeds": 6, "sweep": [{"fusion": ["concat", "sum"], "sharing": ["hard", "separate"]}]}
    suite["train"]["epochs"] = 6
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump(suite), encoding="utf-8")
    return path


def start(file: Path, results: Path, *options: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "bench", "run", str(file), "--results", str(results)]
    return subprocess.Popen(
        [*command, "--device", "cpu", "-q", *options],
        stdout=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def numbers(results: Path) -> pd.DataFrame:
    frame = load_frame(results / "small")
    assert set(frame["status"]) == {"ok"}
    return frame.drop(columns="train.seconds")


def cells(results: Path) -> dict[str, int]:
    """When each record was written: one that is written twice is written later."""
    return {p.stem: p.stat().st_mtime_ns for p in (results / "cells").glob("*.json")}


@pytest.mark.slow
def test_killed_at_random_moments_nothing_is_lost_and_nothing_run_twice(
    file: Path, tmp_path: Path
) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert start(file, whole).wait() == 0
    chance, written = random.Random(0), dict[str, int]()
    interrupted = 0
    for _ in range(KILLS):
        run = start(file, killed)
        # From the start of Python to the middle of training, which takes about as long.
        time.sleep(chance.uniform(0.5, 9.0))
        interrupted += run.poll() is None
        run.send_signal(signal.SIGKILL)
        run.wait()
        now = cells(killed) if killed.exists() else {}
        assert written.items() <= now.items()
        written = now
        if len(written) == 24 and run.returncode == 0:
            break
    assert interrupted >= 2
    assert start(file, killed).wait() == 0
    assert written.items() <= cells(killed).items()
    pd.testing.assert_frame_equal(numbers(killed), numbers(whole))
    assert not list((killed / "locks").glob("*"))
    assert not (killed / "set-aside").exists()


def test_two_runs_of_one_suite_share_the_work(file: Path, tmp_path: Path) -> None:
    results = tmp_path / "results"
    runs = [start(file, results, "--workers", "1") for _ in range(2)]
    assert [run.wait() for run in runs] == [0, 0]
    assert len(numbers(results)) == 24
    logs = {json.loads(p.read_text())["started"] for p in (results / "cells").glob("*.json")}
    assert logs
    assert not list((results / "locks").glob("*"))
