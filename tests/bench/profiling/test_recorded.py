"""A real trace: five steps of a ResNet under DistributedDataParallel on a V100, of 2023."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from bench.profiling.attribution import attribute
from bench.profiling.joining import NODE, nodes_around
from bench.profiling.summary import summarise
from bench.profiling.trace import Trace, read_trace
from bench.profiling.work import all_work

ROOT = Path(__file__).resolve().parents[3]
FILE = ROOT.parent / "shared/data/traces/v100-ddp-train-5-steps.pt.trace.json.gz"

pytestmark = pytest.mark.skipif(not FILE.exists(), reason="the recorded trace is not there")


@pytest.fixture(scope="module")
def trace() -> Trace:
    return read_trace(FILE)


def test_all_work_is_accounted_for(trace: Trace) -> None:
    found = attribute(trace)
    assert 5 * found.total_us == pytest.approx(472_455, abs=1)
    assert found.table["us"].sum() == pytest.approx(found.total_us)
    assert found.steps.groupby("step")["us"].sum().size == 5
    assert found.unattributed_share < 0.001
    assert found.notes == ()


def test_the_backward_pass_is_seen_where_a_range_around_it_sees_none(trace: Trace) -> None:
    nodes = nodes_around(trace)
    kernels = sum(
        work.us
        for work in all_work(trace)
        if trace.events[work.event].category == "kernel" and nodes[work.host] >= 0
    )
    assert kernels == pytest.approx(313_196, abs=1)
    found = attribute(trace)
    assert found.joined_share == pytest.approx(1)
    named = found.table[~found.table["part"].isin(["grad_accumulate", "unattributed"])]
    backward = 5 * named.loc[named["direction"] == "backward", "us"].sum()
    assert backward / (5 * found.us("backward")) > 0.99


def test_backward_work_comes_back_to_the_operators_that_made_it(trace: Trace) -> None:
    rows = attribute(trace).table.set_index(["part", "direction"])["us"]
    for part in ("aten::conv2d", "aten::batch_norm", "aten::relu_", "aten::linear"):
        assert 1 < rows[part, "backward"] / rows[part, "forward"] < 5
    assert sum(event.name.startswith(NODE) for event in trace.events) == 1710


def test_the_device_and_its_kernels(trace: Trace) -> None:
    told = summarise(trace)
    assert told["device_names"] == ["Tesla V100-SXM2-32GB"]
    assert told["kernels"] == told["launches"] == 870
    assert told["copies"] == {"DtoD": 320, "memset": 29}
    assert 0.9 < told["busy_share"] < 1
    assert told["kinds"]["conv"] > told["kinds"]["gemm"] > told["kinds"]["norm"] > 0.1
    assert told["kinds"]["other"] < 0.02


def test_reading_takes_a_moment() -> None:
    start = time.process_time()
    summarise(read_trace(FILE))
    assert time.process_time() - start < 10
