"""A training step under PyTorch's profiler: its trace, and how much slower that made it."""

from __future__ import annotations

import json
import statistics
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile, schedule

from bench.profiling.scopes import scoped
from bench.step import TrainStep
from mtmm.spec import Batch

ACTIVE = 5
"""Steps in a trace."""

_WAIT, _WARM = 1, 2
_PLAIN = 10  # steps without the profiler, before and again after
METADATA = "mtmm_bench"
"""The key of a trace under which it says what it is of."""


def record_trace(step: TrainStep, batch: Batch, path: Path, about: Mapping[str, Any]) -> float:
    """Profile steps on one batch into the file `path`; profiled over plain time of a step.

    The trace holds `about` and has names for the parts of the step. Times in it are slowed down by
    the profiler: what they are good for is shares.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    cuda = batch.device.type == "cuda"

    def one() -> float:
        started = time.perf_counter()
        step(batch)
        if cuda:
            # So that no kernel runs into the next step, where the profiler would count it.
            torch.cuda.synchronize()
        return time.perf_counter() - started

    for _ in range(_WARM):
        one()
    plain = [one() for _ in range(_PLAIN)]
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if cuda else [])]
    rounds = schedule(wait=_WAIT, warmup=_WARM, active=ACTIVE, repeat=1)
    times = []
    with scoped(step), _quiet(), profile(activities=activities, schedule=rounds) as profiler:
        for _ in range(_WAIT + _WARM + ACTIVE):
            times.append(one())
            if len(times) == _WAIT + _WARM + ACTIVE:
                profiler.add_metadata_json(METADATA, json.dumps(dict(about)))
            profiler.step()
    profiler.export_chrome_trace(str(path))
    plain += [one() for _ in range(_PLAIN)]
    return statistics.median(times[-ACTIVE:]) / statistics.median(plain)


def record_memory(step: TrainStep, batch: Batch, path: Path) -> None:
    """Write a trace of one step that tells what allocators did, which slows it down further."""
    activities = [ProfilerActivity.CPU]
    if batch.device.type == "cuda":
        activities.append(ProfilerActivity.CUDA)
    rounds = schedule(wait=0, warmup=1, active=1, repeat=1)
    with (
        scoped(step),
        _quiet(),
        profile(activities=activities, schedule=rounds, profile_memory=True) as profiler,
    ):
        for _ in range(2):
            step(batch)
            profiler.step()
    profiler.export_chrome_trace(str(path))


def record_snapshot(step: TrainStep, batch: Batch, path: Path) -> None:
    """Write what CUDA's allocator did in one step, with stacks of Python: a memory snapshot.

    It is a pickle for https://pytorch.org/memory_viz.
    """
    memory = torch.cuda.memory
    memory._record_memory_history(stacks="python")
    try:
        step(batch)
        torch.cuda.synchronize()
        memory._dump_snapshot(str(path))  # type: ignore[no-untyped-call]
    finally:
        memory._record_memory_history(enabled=None)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what PyTorch 2.11 says whatever the schedule: that rounds replace each other."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Warning: Profiler clears events")
        yield
