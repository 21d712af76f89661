"""A trace made of a training step, as `mtmm-bench profile` makes it."""

from __future__ import annotations

import gzip
import json
import warnings
from pathlib import Path

import pytest
import torch
from torch.profiler import profile

from bench.profiling import session
from bench.profiling.session import ACTIVE, METADATA, record_trace
from bench.profiling.summary import summarise
from bench.profiling.trace import read_trace
from mtmm.spec import DataBundle
from tests.bench.profiling.steps import config_of, step_of

ABOUT = {"record": "abc", "config": {"tasks": ["script"]}, "batch_size": 16}


def test_the_trace_of_a_step_names_parts_and_what_it_is_of(
    bundle: DataBundle, tmp_path: Path
) -> None:
    path = tmp_path / "folder" / "not" / "there" / "a.pt.trace.json.gz"
    step, batch = step_of(config_of(), bundle)
    overhead = record_trace(step, batch, path, ABOUT)
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
