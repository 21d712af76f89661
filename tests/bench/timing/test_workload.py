from __future__ import annotations

from typing import Any

import torch

from bench.timing.workload import WORKLOADS, first_batch, measure_cost
from mtmm.spec import DataBundle

CPU = torch.device("cpu")


def test_a_batch_larger_than_the_split_repeats_it(bundle: DataBundle) -> None:
    n = len(bundle.train)
    image = first_batch(bundle, n + 3).inputs["image"]
    assert len(image) == n + 3
    assert torch.equal(image[n:], image[:3])


def test_every_workload_marks_its_phases(config: dict[str, Any], bundle: DataBundle) -> None:
    batch = first_batch(bundle, 8)
    for make in WORKLOADS.values():
        workload = make(config, bundle, batch)
        marks: list[None] = []
        workload.step(lambda seen=marks: seen.append(None))  # type: ignore[misc]
        assert len(marks) == len(workload.phases) + 1
        assert workload.samples == 8


def test_training_costs_more_than_inference(config: dict[str, Any], bundle: DataBundle) -> None:
    batch = first_batch(bundle, 8)
    train, inference = (
        measure_cost(WORKLOADS[mode](config, bundle, batch), CPU) for mode in ("train", "inference")
    )
    assert 2 * inference["flops"] < train["flops"] <= 3 * inference["flops"]
    assert train["peak_mib"] > inference["peak_mib"] > 0
