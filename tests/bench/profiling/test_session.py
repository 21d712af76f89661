"""A trace made of a training step, as `mtmm-bench profile` makes it."""

from __future__ import annotations

import gzip
import json
import pickle
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.profiler import profile

from bench.profiling import session
from bench.profiling.session import ACTIVE, METADATA, record_snapshot, record_trace
from bench.profiling.summary import summarise
from bench.profiling.trace import read_trace
from bench.timing.workload import first_batch
from bench.training import build_step
from mtmm.spec import DataBundle
from tests.bench.profiling.steps import config_of, step_of

ABOUT = {"record": "abc", "config": {"tasks": ["script"]}, "batch_size": 16}


def test_the_trace_of_a_step_names_parts_and_what_it_is_of(
    bundle: DataBundle, tmp_path: Path
) -> None:
    path = tmp_path / "folder" / "not" / "there" / "a.pt.trace.json.gz"
    step, batch = step_of(config_of(), bundle)
    for _ in range(3):  # other work on the machine may hold up one operator, of no part
        overhead = record_trace(step, batch, path, ABOUT)
        if summarise(read_trace(path))["unattributed_share"] < 0.05:
            break
    assert 0.2 < overhead < 20
    whole = json.loads(gzip.decompress(path.read_bytes()))
    assert whole[METADATA] == ABOUT
    told = summarise(read_trace(path))
    assert told["steps"] == ACTIVE
    assert told["unattributed_share"] < 0.05
    parts = {one["part"] for one in told["parts"]}
    assert parts > {"encoders.image.conv1", "fusion", "heads.slant", "loss.slant", "optimizer"}
    assert sum(one["us"] for one in told["parts"]) == pytest.approx(told["work_us"], rel=0.01)
    assert "loss" not in vars(step.objectives["script"])


class _Warning(profile):
    """The profiler of PyTorch 2.11."""

    def prepare_trace(self) -> None:
        warnings.warn("Warning: Profiler clears events at the end of each cycle.", stacklevel=2)
        super().prepare_trace()


def test_a_warning_that_says_nothing_of_the_run_is_not_passed_on(
    bundle: DataBundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "profile", _Warning)
    monkeypatch.setattr(session, "_PLAIN", 1)
    monkeypatch.setattr(session, "ACTIVE", 1)
    step, batch = step_of(config_of(), bundle)
    filters = list(warnings.filters)
    record_trace(step, batch, tmp_path / "a.json", ABOUT)
    assert warnings.filters == filters


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """Of CUDA, which is not there, what is called and with what."""
    made: list[tuple[Any, ...]] = []

    def noted(name: str) -> Callable[..., None]:
        return lambda *given, **settings: made.append((name, *given, settings))

    monkeypatch.setattr(torch.cuda.memory, "_record_memory_history", noted("history"))
    monkeypatch.setattr(torch.cuda.memory, "_dump_snapshot", noted("dump"))
    monkeypatch.setattr(torch.cuda, "synchronize", noted("synchronize"))
    return made


def test_a_snapshot_is_of_one_step_and_the_history_ends(
    bundle: DataBundle, tmp_path: Path, calls: list[tuple[Any, ...]]
) -> None:
    step, batch = step_of(config_of(), bundle)
    step.clip = lambda: calls.append(("step",))
    record_snapshot(step, batch, tmp_path / "a.pickle")
    begun, end = ("history", {"stacks": "python"}), ("history", {"enabled": None})
    path = str(tmp_path / "a.pickle")
    assert calls == [begun, ("step",), ("synchronize", {}), ("dump", path, {}), end]
    calls.clear()

    def failing() -> None:
        raise RuntimeError("out of luck")

    step.clip = failing
    with pytest.raises(RuntimeError, match="out of luck"):
        record_snapshot(step, batch, tmp_path / "a.pickle")
    assert calls == [begun, end]


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_snapshot_on_cuda_has_the_allocations_of_a_step(
    bundle: DataBundle, tmp_path: Path
) -> None:
    device = torch.device("cuda")
    step = build_step(config_of(), bundle, seed=0, device=device)
    batch = first_batch(bundle, 16).to(device)
    step(batch)
    path = tmp_path / "a.pickle"
    record_snapshot(step, batch, path)
    told = pickle.loads(path.read_bytes())
    (events,) = [of for of in told["device_traces"] if of]
    allocated = [event for event in events if event["action"] == "alloc"]
    assert sum(event["size"] for event in allocated) > 0
    frames = {frame["filename"] for event in allocated for frame in event["frames"]}
    assert any(name.endswith("bench/step.py") for name in frames)
    step(batch)
    record_snapshot(step, batch, path)  # the history of the first is gone
    (again,) = [of for of in pickle.loads(path.read_bytes())["device_traces"] if of]
    assert len(again) < 1.5 * len(events)


def test_an_error_in_a_step_comes_out_and_leaves_no_names(
    bundle: DataBundle, tmp_path: Path
) -> None:
    step, batch = step_of(config_of(), bundle)
    calls: list[int] = []

    def failing() -> None:
        calls.append(1)
        if len(calls) > session._WARM + session._PLAIN:
            raise RuntimeError("out of luck")

    step.clip = failing
    with pytest.raises(RuntimeError, match="out of luck"):
        record_trace(step, batch, tmp_path / "a.json", ABOUT)
    assert step.clip is failing
    assert not any(module._forward_hooks for module in step.model.modules())
    with torch.profiler.profile():  # none is under way any more
        pass
