"""What isolation costs: tiny cells in forked processes against a new Python process for each.

And one longer cell run as a unit (process, log, lock, record) against the same training alone.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from typing import Any

import torch
from rich.console import Console

from bench.api import plan
from bench.execution.run import Options
from bench.progress import Progress
from bench.running import run_plan
from bench.store import Store
from bench.training import train
from mtmm.data import DATASETS

CPU = torch.device("cpu")
TINY: dict[str, Any] = {
    "name": "tiny",
    "dataset": {"name": "glyphs", "limit": 300},
    "tasks": ["slant"],
    "model": {"encoders": {"image": {"name": "lenet", "channels": 2}, "text": "lstm"}, "width": 8},
    "train": {"epochs": 1, "batch_size": 64},
    "seeds": 64,
    "timing": "off",
}
LONG = {
    **TINY,
    "dataset": {"name": "glyphs", "limit": 4000},
    "train": {"epochs": 24, "batch_size": 64},
    "seeds": 1,
}
ONE_CELL = """
import json, sys, torch
from bench.api import plan
from bench.execution.unit import run_cell
cell = list(plan(json.loads(sys.argv[1])).cells("cpu").values())[int(sys.argv[2])]
assert run_cell(cell, torch.device("cpu"))["status"] == "ok"
"""
PROCESSES = 16  # of 64: they take long, and each takes the same
ROUNDS = 5


def forked(suite: dict[str, Any], workers: int) -> float:
    """Seconds of a whole run in a new results folder."""
    with tempfile.TemporaryDirectory() as folder:
        how = Options(devices=(CPU,), workers=workers)
        planned = plan(suite)
        started = time.perf_counter()
        outcome = run_plan(planned, Store(folder), how, Progress(Console(), quiet=True))
        seconds = time.perf_counter() - started
        assert outcome.failed == ()
    return seconds


def new_processes(count: int) -> float:
    """Seconds of so many cells, two at a time, each in a new Python process."""
    command = [sys.executable, "-c", ONE_CELL, json.dumps(TINY)]
    started = time.perf_counter()
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda i: subprocess.run([*command, str(i)], check=True), range(count)))
    return time.perf_counter() - started


def trained_alone() -> float:
    """Seconds of the long cell in this process: its data, then its training."""
    ((_, cell),) = plan(LONG).cells("cpu").items()
    started = time.perf_counter()
    bundle = DATASETS["glyphs"](limit=LONG["dataset"]["limit"]).select(
        cell.config["modalities"], cell.config["tasks"]
    )
    train(cell.config, bundle, seed=cell.seed, device=CPU)
    return time.perf_counter() - started


def main() -> None:
    torch.set_num_threads(1)
    first = forked(TINY, 2)  # starts the server of the processes, once a run
    rest = [forked(TINY, 2) for _ in range(ROUNDS)]
    apart = new_processes(PROCESSES) * 64 / PROCESSES
    per_cell = (median(rest)) / 64
    print(
        f"64 tiny cells, two at a time: {first:.1f} s in all (with the server's start), "
        f"{1e3 * per_cell:.0f} ms a cell after it; a new process for each: {apart:.0f} s "
        f"(from {PROCESSES}); ratio {apart / first:.1f}, after the start {apart / median(rest):.1f}"
    )
    trained_alone()
    pairs = [(forked(LONG, 1), trained_alone()) for _ in range(ROUNDS)]
    ratios = sorted(unit / alone for unit, alone in pairs)
    print(
        f"one cell of {median(alone for _, alone in pairs):.1f} s as a unit over the same in one "
        f"process: {median(ratios):.3f}, {ratios[0]:.3f} to {ratios[-1]:.3f} (n = {ROUNDS})"
    )


if __name__ == "__main__":
    main()
