from __future__ import annotations

import multiprocessing
from typing import Any

import pytest
import torch

from bench.cell import TimingArm, TimingBlock, timed_part
from bench.execution.unit import time_block
from bench.loading import batches
from bench.step import TrainStep, unmarked
from bench.timing import pipeline
from bench.timing.pipeline import PipelineWorkload
from bench.timing.workload import first_batch
from mtmm.seeding import generator
from mtmm.spec import Batch, DataBundle


def loading(config: dict[str, Any], workers: int | None) -> dict[str, Any]:
    return {**config, "train": {**config["train"], "loader_workers": workers}}


@pytest.mark.parametrize("workers", [None, 1])
def test_its_batches_are_those_of_training_without_end(
    config: dict[str, Any],
    bundle: DataBundle,
    monkeypatch: pytest.MonkeyPatch,
    workers: int | None,
) -> None:
    seen = list[torch.Tensor]()

    def note(self: TrainStep, batch: Batch, mark: Any = unmarked) -> None:
        seen.append(batch.inputs["image"])
        for _ in range(5):
            mark()

    monkeypatch.setattr(TrainStep, "__call__", note)
    workload = PipelineWorkload(loading(config, workers), bundle, first_batch(bundle, 90))
    order, marks = generator(pipeline._SEED, "order"), list[None]()
    steps = 2 * (len(bundle.train) // 90)  # two epochs, and each its own order
    expected = [*batches(bundle.train, 90, order), *batches(bundle.train, 90, order)]
    for _ in range(steps):
        workload.step(lambda: marks.append(None))
    pairs = zip(seen, expected, strict=True)
    assert all(torch.equal(image, batch.inputs["image"]) for image, batch in pairs)
    assert workload.phases == ("data", "zero_grad", "forward", "backward", "optimizer")
    assert len(marks) == steps * (len(workload.phases) + 1)
    assert workload.samples == 90
    assert len(multiprocessing.active_children()) == (workers or 0)
    del workload
    assert not multiprocessing.active_children()


def test_a_batch_is_no_larger_than_the_data(config: dict[str, Any], bundle: DataBundle) -> None:
    workload = PipelineWorkload(config, bundle, first_batch(bundle, 10_000))
    assert workload.samples == len(bundle.train)


def test_a_block_of_both_ways(config: dict[str, Any]) -> None:
    arms = tuple(TimingArm(timed_part(loading(config, workers))) for workers in (None, 1))
    block = TimingBlock(arms, ("d",), 32, "pipeline", 0.1, "machine")
    records = time_block(block, "cpu")
    assert [record["status"] for record in records] == ["ok", "ok"]
    for record in records:
        assert record["reason"] == ""
        assert record["samples"]["phases"] == [
            "data",
            "zero_grad",
            "forward",
            "backward",
            "optimizer",
        ]
        assert record["summary"]["data_ms"] > 0
        assert record["cost"]["phase_flops"]["data"] == 0
        assert record["cost"]["flops"] > 0
    assert not multiprocessing.active_children()
