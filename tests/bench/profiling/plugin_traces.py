"""Traces for torch-tb-profiler: one of a real CPU run, one by hand of a GPU."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F
from torch.profiler import ProfilerActivity, profile, schedule

Event = dict[str, Any]


def cpu_trace(path: Path, *, with_stack: bool = False) -> Path:
    """Three steps of a small model, as torch.profiler writes them."""
    model = torch.nn.Sequential(torch.nn.Linear(32, 64), torch.nn.ReLU(), torch.nn.Linear(64, 4))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x, y = torch.randn(16, 32), torch.arange(16) % 4
    path.parent.mkdir(parents=True, exist_ok=True)
    with profile(
        activities=[ProfilerActivity.CPU],
        schedule=schedule(wait=1, warmup=1, active=3, repeat=1),
        on_trace_ready=lambda profiler: profiler.export_chrome_trace(str(path)),
        with_stack=with_stack,
    ) as profiler:
        for _ in range(5):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
            profiler.step()
    return path


def gpu_events() -> list[Event]:
    """One step of 100 µs: `aten::mm` has a kernel of 30 µs, `aten::relu` one of 10 µs."""
    return [
        _event("user_annotation", "ProfilerStep#3", 0, 100, tid=1, external=9),
        _event("cpu_op", "aten::mm", 10, 20, tid=1, external=1),
        _event("cpu_op", "aten::relu", 40, 10, tid=1, external=2),
        _event("cuda_runtime", "cudaLaunchKernel", 15, 5, tid=1, external=1, correlation=11),
        _event("cuda_driver", "cuLaunchKernelEx", 42, 3, tid=1, external=2, correlation=12),
        _kernel("gemm", 20, 30, external=1, correlation=11, blocks=0.5, occupancy=40),
        _kernel("relu", 60, 10, external=2, correlation=12, blocks=2.0, occupancy=80),
        _event("gpu_user_annotation", "ProfilerStep#3", 20, 50, tid=7, external=9),
    ]


def write(path: Path, events: list[Any]) -> Path:
    path.write_text(json.dumps({"schemaVersion": 1, "traceEvents": events}), encoding="utf-8")
    return path


def _event(
    category: str, name: str, start: float, duration: float, *, tid: int, external: int, **args: Any
) -> Event:
    return {
        "ph": "X",
        "cat": category,
        "name": name,
        "ts": start,
        "dur": duration,
        "pid": 0,
        "tid": tid,
        "args": {"External id": external, **args},
    }


def _kernel(
    name: str,
    start: float,
    duration: float,
    *,
    external: int,
    correlation: int,
    blocks: float,
    occupancy: float,
) -> Event:
    event = _event(
        "kernel", name, start, duration, tid=7, external=external, correlation=correlation
    )
    event["args"] |= {"device": 0, "blocks per SM": blocks}
    event["args"]["est. achieved occupancy %"] = occupancy
    return event
