"""Training steps of small variants, and what a profiler saw of one."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile, schedule

from bench.profiling.attribution import Attribution, attribute
from bench.profiling.scopes import scoped
from bench.profiling.trace import Trace, read_trace
from bench.step import TrainStep
from bench.timing.workload import first_batch
from bench.training import build_step
from bench.variant import resolve_variant
from mtmm.settings import Problem
from mtmm.spec import Batch, DataBundle
from tests.conftest import SUITE

CPU = torch.device("cpu")
IGNORED = "ignore:Warning. Profiler clears events"
"""PyTorch 2.11 says so whatever the schedule."""


def config_of(model: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """The resolved base of the small suite with other settings."""
    suite = copy.deepcopy(SUITE) | changes
    suite["model"] |= model or {}
    problems: list[Problem] = []
    config = resolve_variant(suite, problems)
    assert not problems
    return config


def step_of(config: dict[str, Any], bundle: DataBundle) -> tuple[TrainStep, Batch]:
    """A variant's training step, and a batch for it."""
    bundle = bundle.select(config.get("modalities", ["image", "text"]), ["script", "slant"])
    return build_step(config, bundle, seed=0, device=CPU), first_batch(bundle, 16)


def traced(step: TrainStep, batch: Batch, folder: Path) -> tuple[Trace, Attribution]:
    """One step with names under the profiler."""
    path = folder / "a.json"
    once = schedule(wait=0, warmup=1, active=1, repeat=1)
    with scoped(step), profile(activities=[ProfilerActivity.CPU], schedule=once) as profiler:
        for _ in range(2):
            step(batch)
            profiler.step()
    profiler.export_chrome_trace(str(path))
    trace = read_trace(path)
    return trace, attribute(trace)
