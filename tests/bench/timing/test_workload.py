from __future__ import annotations

from typing import Any

import torch

from bench.step import unmarked
from bench.timing.flops import count_flops
from bench.timing.reference import ReferenceWorkload
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


def test_costs_of_phases_and_parts_add_up(config: dict[str, Any], bundle: DataBundle) -> None:
    cost = measure_cost(WORKLOADS["train"](config, bundle, first_batch(bundle, 8)), CPU)
    phases = cost["phase_flops"]
    assert list(phases) == ["zero_grad", "forward", "backward", "optimizer"]
    assert (phases["zero_grad"], phases["optimizer"]) == (0, 0)
    assert sum(phases.values()) == cost["flops"]
    for way in ("forward", "backward"):
        assert sum(part[way] for part in cost["part_flops"].values()) == phases[way]
    assert max(cost["phase_peak_mib"].values()) == cost["peak_mib"]
    assert "reserved_mib" not in cost


def test_the_forward_pass_of_training_keeps_what_backward_needs(
    config: dict[str, Any], bundle: DataBundle
) -> None:
    batch = first_batch(bundle, 8)
    forward, inference = (
        measure_cost(WORKLOADS[mode](config, bundle, batch), CPU)
        for mode in ("forward", "inference")
    )
    assert forward["flops"] == inference["flops"]
    assert forward["peak_mib"] > inference["peak_mib"]


def test_the_reference_arm_is_the_same_work_every_time() -> None:
    workload = ReferenceWorkload(CPU)
    marks: list[None] = []
    workload.step(lambda: marks.append(None))
    assert len(marks) == 2
    assert torch.get_num_threads() == 1
    first, second = 2 * 32 * 32 * 32 * 16 * 3 * 9, 2 * 32 * 16 * 16 * 32 * 16 * 9
    forward = first + second + 2 * 32 * (32 * 64 * 64 + 64 * 10)
    assert count_flops(lambda: workload.step(unmarked)) == 3 * forward - first
