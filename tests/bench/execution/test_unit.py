from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from bench.cell import TimingArm, TimingBlock, TrainCell, timed_part
from bench.execution import unit
from bench.execution.unit import build_data, run_cell, time_block
from bench.timing.workload import WORKLOADS
from bench.training import DivergedError
from mtmm.data import DATASETS
from mtmm.data.base import Dataset
from mtmm.spec import DataBundle, in_memory

CPU = torch.device("cpu")


@pytest.fixture
def cell(config: dict[str, Any]) -> TrainCell:
    return TrainCell(config, 0, "data", "cpu")


def test_a_finished_cell_says_what_it_was_and_what_it_found(cell: TrainCell) -> None:
    record = run_cell(cell, CPU)
    assert (record["status"], record["reason"], record["kind"]) == ("ok", "", "train")
    assert (record["config"], record["seed"], record["data"]) == (cell.config, 0, "data")
    assert set(record["test"]) == {"script", "slant"}


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (DivergedError("no"), "diverged", "no"),
        (torch.OutOfMemoryError("full"), "oom", "OutOfMemoryError: full ({})"),
        (SystemExit(0), "error", "it ended the program (exit code 0)"),
        (MemoryError("full"), "oom", "MemoryError: full ({})"),
        (RuntimeError("broken"), "error", "RuntimeError: broken ({})"),
    ],
)
def test_what_goes_wrong_is_the_record(
    cell: TrainCell,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    status: str,
    reason: str,
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(unit, "train", fail)
    record = run_cell(cell, CPU)
    place = f"{__file__}:{fail.__code__.co_firstlineno + 1}"  # that of a user's code
    assert (record["status"], record["reason"]) == (status, reason.replace("{}", place))
    assert ("traceback" in record) == (status != "diverged")


def test_the_data_is_built_once_for_all_cells(config: dict[str, Any]) -> None:
    first, second = build_data(config, CPU), build_data(config, CPU)
    image, again = (in_memory(one.train).inputs["image"] for one in (first, second))
    assert image is again
    one = build_data({**config, "modalities": ["text"], "tasks": ["slant"]}, CPU)
    assert list(in_memory(one.train).inputs) == ["text"]
    assert list(one.train.targets) == ["slant"]


def test_a_data_set_that_was_replaced_is_built_anew(
    config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    glyphs = DATASETS["glyphs"]
    for sign in (1, -1):

        def build(sign: int = sign, **settings: Any) -> DataBundle:
            bundle = glyphs.build(**settings)
            train = in_memory(bundle.train)
            inputs = {**train.inputs, "image": sign * train.inputs["image"]}
            return replace(bundle, train=replace(train, inputs=inputs))

        monkeypatch.setitem(DATASETS, "glyphs", Dataset(build, glyphs.describe))
        image = in_memory(build_data(config, CPU).train).inputs["image"]
        assert image.sum() * sign > 0


@pytest.mark.parametrize(
    ("mode", "phases"),
    [("train", {"zero_grad", "forward", "backward", "optimizer"}), ("inference", {"inference"})],
)
def test_a_block_times_every_arm(config: dict[str, Any], mode: str, phases: set[str]) -> None:
    model = {**config["model"], "sharing": {"name": "separate"}}
    arms = tuple(TimingArm(timed_part({**config, "model": m})) for m in (config["model"], model))
    block = TimingBlock(arms, ("data",), 16, mode, 0.01, "test machine")
    records = time_block(block, "cpu")
    assert [record["status"] for record in records] == ["ok", "ok"]
    hard = records[0]["summary"]
    assert phases <= {name.removesuffix("_ms") for name in hard}
    assert hard["step_ms"] == pytest.approx(sum(hard[f"{p}_ms"] for p in phases), rel=0.2)
    of_hard, of_separate = (record["cost"] for record in records)
    assert of_separate["flops"] > 1.9 * of_hard["flops"]
    assert of_separate["peak_mib"] > of_hard["peak_mib"] > 0
    assert hard["samples_per_s"] > 0
    assert [record["block"] for record in records] == [block.id] * 2


def test_task_gradients_are_timed_apart_from_what_weighs_them(config: dict[str, Any]) -> None:
    weightings: list[dict[str, Any]] = [
        {"name": "equal"},
        {"name": "upgrad"},
        {"name": "upgrad", "every": 4},
        {"name": "upgrad", "space": "z"},
    ]
    arms = tuple(TimingArm(timed_part({**config, "weighting": given})) for given in weightings)
    block = TimingBlock(arms, ("data",), 16, "train", 0.01, "test machine")
    records = time_block(block, "cpu")
    assert [(record["status"], record["reason"]) for record in records] == [("ok", "")] * 4
    plain, *apart = (record["samples"]["phases"] for record in records)
    assert plain == ["zero_grad", "forward", "backward", "optimizer"]
    assert apart == [["zero_grad", "forward", "backward", "solver", "optimizer"]] * 3
    for record in records:
        assert set(record["cost"]["phase_flops"]) == set(record["samples"]["phases"])
        assert record["cost"]["flops"] == sum(record["cost"]["phase_flops"].values())
    flops = [record["cost"]["phase_flops"]["backward"] for record in records]
    # Two tasks: two passes through all that is shared, in one of four steps, or none but the last.
    assert flops[1] > 1.8 * flops[0]
    assert flops[2] == pytest.approx(flops[0] + (flops[1] - flops[0]) / 4, rel=0.02)
    assert flops[3] == pytest.approx(flops[0], rel=0.02)
    parts = [record["cost"]["part_flops"]["encoders.image"] for record in records]
    assert [part["forward"] for part in parts] == [parts[0]["forward"]] * 4
    assert parts[1]["backward"] == 2 * parts[0]["backward"]
    assert parts[3]["backward"] == parts[0]["backward"]


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("weighting", ["equal", "upgrad", "famo"])
def test_a_block_runs_on_cuda(config: dict[str, Any], weighting: str) -> None:
    block = TimingBlock(
        (TimingArm(timed_part({**config, "weighting": {"name": weighting}})),),
        ("data",),
        16,
        "train",
        0.5,
        "test machine",
    )
    (record,) = time_block(block, "cuda")
    assert (record["status"], record["reason"]) == ("ok", "")
    assert record["summary"]["device_ms"] > 0
    assert record["cost"]["reserved_mib"] >= record["cost"]["peak_mib"] > 0


def test_every_arm_runs_with_its_own_threads(
    config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[int, set[int]] = {1: set(), 2: set()}
    real = WORKLOADS["inference"]

    def watched(arm_config: Any, *rest: Any) -> Any:
        workload = real(arm_config, *rest)
        step = workload.step

        def noting(mark: Any) -> None:
            seen[arm_config["train"]["threads"]].add(torch.get_num_threads())
            step(mark)

        monkeypatch.setattr(workload, "step", noting)
        return workload

    monkeypatch.setitem(WORKLOADS, "inference", watched)
    before = torch.get_num_threads()
    arms = tuple(
        TimingArm(timed_part({**config, "train": {**config["train"], "threads": n}}))
        for n in (1, 2)
    )
    time_block(TimingBlock(arms, ("d",), 16, "inference", 0.01, "test machine"), "cpu")
    assert seen == {1: {1}, 2: {2}}
    assert torch.get_num_threads() == before


def test_times_are_kept_where_memory_and_flops_cannot_be_had(
    config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("no such kernel")

    monkeypatch.setattr(unit, "measure_cost", fail)
    arm = TimingArm(timed_part(config))
    (record,) = time_block(TimingBlock((arm,), ("d",), 16, "train", 0.01, "test machine"), "cpu")
    assert record["status"] == "ok"
    assert record["summary"]["step_ms"] > 0
    assert record["reason"] == "timed, but no memory and FLOPs: RuntimeError: no such kernel"


def test_an_arm_that_fails_is_its_own_record(
    config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = WORKLOADS["train"]

    def some_fail(arm_config: Any, *rest: Any) -> Any:
        if arm_config["model"]["sharing"]["name"] == "separate":
            raise torch.OutOfMemoryError("too large")
        return real(arm_config, *rest)

    monkeypatch.setitem(WORKLOADS, "train", some_fail)
    model = {**config["model"], "sharing": {"name": "separate"}}
    arms = tuple(TimingArm(timed_part({**config, "model": m})) for m in (config["model"], model))
    records = time_block(TimingBlock(arms, ("d",), 16, "train", 0.01, "test machine"), "cpu")
    assert [record["status"] for record in records] == ["ok", "oom"]
    assert "too large" in records[1]["reason"]
