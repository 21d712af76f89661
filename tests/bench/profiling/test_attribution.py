from __future__ import annotations

from pathlib import Path

import pytest

from bench.errors import InputError
from bench.profiling.attribution import Attribution, attribute
from bench.profiling.trace import read_trace
from tests.bench.profiling.made import (
    AUTOGRAD,
    FIRST,
    MAIN,
    STEP_US,
    Entry,
    Recorder,
    gpu_entries,
    gpu_recorder,
    write,
)

ROWS = {
    ("zero_grad", "other"): 3.0,
    ("encoders.image", "forward"): 100.0,
    ("fusion", "forward"): 50.0,
    ("heads.a", "forward"): 20.0,
    ("loss.a", "forward"): 5.0,
    ("unattributed", "other"): 10.0,
    ("loss.a", "backward"): 8.0,
    ("heads.a", "backward"): 40.0,
    ("fusion", "backward"): 200.0,
    ("grad_accumulate", "backward"): 7.0,
    ("encoders.image", "backward"): 200.0,
    ("unattributed", "backward"): 1.0,
    ("optimizer", "optimizer"): 30.0,
}
"""µs in each step of the trace by hand."""


def _attributed(path: Path, entries: list[Entry]) -> Attribution:
    return attribute(read_trace(write(path / "trace.json", entries)))


def _rows(found: Attribution) -> dict[tuple[str, str], float]:
    table = found.table
    return dict(zip(zip(table["part"], table["direction"], strict=True), table["us"], strict=True))


def _kinds(found: Attribution) -> list[str]:
    return [note.kind for note in found.notes]


def test_every_part_to_the_microsecond(tmp_path: Path) -> None:
    found = _attributed(tmp_path, gpu_entries())
    assert _rows(found) == ROWS
    assert found.total_us == sum(ROWS.values()) == 674
    assert found.us("forward") == 175
    assert found.us("backward") == 456
    assert found.us("optimizer") == 30
    assert found.unattributed_share == pytest.approx(11 / 674)
    assert found.joined_share == pytest.approx(448 / 449)
    assert found.table["share"].sum() == pytest.approx(1)
    assert found.table["us"].is_monotonic_decreasing


def test_steps_are_told_apart(tmp_path: Path) -> None:
    entries = gpu_entries()
    longer = next(entry for entry in reversed(entries) if entry["name"] == "cudnn::dgrad_engine")
    longer["dur"] += 100
    steps = _attributed(tmp_path, entries).steps
    mine = steps[(steps["part"] == "encoders.image") & (steps["direction"] == "backward")]
    assert dict(zip(mine["step"], mine["us"], strict=True)) == {FIRST: 200, FIRST + 1: 300}
    assert steps.groupby("step")["share"].sum().tolist() == pytest.approx([1, 1])


@pytest.mark.parametrize("flows", [True, False])
def test_flows_and_numbers_lead_to_the_same_parts(flows: bool, tmp_path: Path) -> None:
    names = ("fwdbwd", "nothing")[flows]
    entries = [entry for entry in gpu_entries() if entry["name"] != names]
    if not flows:  # whose numbers are whose, nothing tells when a stranger counts too
        entries = [entry for entry in entries if entry["tid"] != 3]
    assert _rows(_attributed(tmp_path, entries)) == ROWS


def test_without_a_thread_that_is_known_nothing_is_guessed(tmp_path: Path) -> None:
    entries = [entry for entry in gpu_entries() if entry["name"] != "fwdbwd"]
    rows = _rows(_attributed(tmp_path, entries))
    assert rows["unattributed", "backward"] == 449


def test_of_operators_that_start_together_the_innermost_made_the_node(tmp_path: Path) -> None:
    recorder = Recorder()
    recorder.scope("ProfilerStep#1", 0, 1000)
    recorder.scope("mtmm::fusion", 0, 100)
    outer = recorder.operator("aten::linear", 10, 90, number=1)
    recorder.scope("mtmm::heads.a", 10, 80)
    recorder.operator("aten::addmm", 10, 70, number=1)
    recorder.flow(outer, recorder.node("AddmmBackward0", 200, 300, 1))
    assert _rows(_attributed(tmp_path, recorder.entries))["heads.a", "backward"] == 100


def test_a_kernel_counts_for_the_step_that_launched_it(tmp_path: Path) -> None:
    entries = gpu_entries()
    for entry in entries:
        if entry["cat"] == "kernel":
            entry["ts"] += 2 * STEP_US
    assert _rows(_attributed(tmp_path, entries)) == ROWS


def test_a_kernel_without_its_launch_is_unattributed(tmp_path: Path) -> None:
    entries = gpu_entries()
    for entry in entries:
        if entry["name"] == "cudnn::dgrad_engine":
            entry["args"] = {}
    found = _attributed(tmp_path, entries)
    assert _rows(found)["unattributed", "other"] == 210
    assert found.total_us == 674
    note = next(note for note in found.notes if note.kind == "unattributed")
    assert note.text.startswith("31% of the work belongs to no part; most of it: launches that")


def test_work_outside_of_the_steps_is_left_out_and_told(tmp_path: Path) -> None:
    recorder = gpu_recorder()
    recorder.operator("aten::mm", 10, 20)
    recorder.launch("gemm", 12, 14, 688)
    found = _attributed(tmp_path, recorder.entries)
    assert _rows(found) == ROWS
    assert _kinds(found) == ["custom_function", "outside"]
    assert found.notes[-1].text.startswith("33% of the trace's work")


def test_no_kernel_from_inside_of_the_steps_is_an_error(tmp_path: Path) -> None:
    recorder = Recorder()
    recorder.operator("aten::mm", 0, 5)
    recorder.launch("gemm", 1, 14, 50)
    recorder.scope("ProfilerStep#1", 10, 20)
    recorder.operator("aten::detach", 12, 13)
    with pytest.raises(InputError, match="nothing inside its 1 steps: no kernel was launched"):
        _attributed(tmp_path, recorder.entries)


def test_names_of_ranges_tell_the_direction(tmp_path: Path) -> None:
    recorder = Recorder()
    recorder.scope("ProfilerStep#1", 0, 100)
    for start, name in enumerate(("weighting", "clip", "backward", "sharing")):
        recorder.scope(f"mtmm::{name}", 20 * start, 20 * start + 19)
        recorder.operator("aten::mul", 20 * start + 1, 20 * start + 11)
    assert _rows(_attributed(tmp_path, recorder.entries)) == {
        ("weighting", "other"): 10,
        ("clip", "optimizer"): 10,
        ("backward", "backward"): 10,
        ("sharing", "forward"): 10,
    }


def test_operators_count_without_those_inside_of_them(tmp_path: Path) -> None:
    recorder = Recorder()
    recorder.scope("ProfilerStep#1", 0, 100)
    recorder.operator("aten::linear", 10, 60)
    recorder.scope("mtmm::fusion", 15, 55)
    recorder.operator("aten::addmm", 20, 50)
    recorder.operator("aten::copy_", 25, 30)
    assert _rows(_attributed(tmp_path, recorder.entries)) == {
        ("fusion", "forward"): 30,
        ("unattributed", "other"): 20,
    }


def test_what_a_checkpoint_runs_again_is_backward_work_of_its_part(tmp_path: Path) -> None:
    recorder = Recorder()
    recorder.scope("ProfilerStep#1", 0, 1000)
    recorder.scope("mtmm::fusion", 0, 100)
    outer = recorder.operator("CheckpointFunction", 10, 90, number=1)
    recorder.launch("gemm", 20, 30, 40)
    node = recorder.node("CheckpointFunctionBackward", 200, 400, 1)
    recorder.flow(outer, node)
    again = recorder.operator("aten::mm", 210, 250, thread=AUTOGRAD, number=1)
    recorder.launch("gemm", 220, 230, 240, thread=AUTOGRAD)
    recorder.flow(again, recorder.node("MmBackward0", 300, 350, 1))
    recorder.launch("gemm", 310, 320, 340, thread=AUTOGRAD)
    recorder.scope("mtmm::heads.a", 252, 260, thread=AUTOGRAD)
    recorder.operator("aten::mm", 253, 259, thread=AUTOGRAD, number=2)
    recorder.launch("gemm", 254, 340, 345, thread=AUTOGRAD)
    found = _attributed(tmp_path, recorder.entries)
    assert _rows(found) == {
        ("fusion", "forward"): 10,
        ("fusion", "backward"): 30,
        ("heads.a", "backward"): 5,
    }
    assert _kinds(found) == ["checkpointing"]


def test_functions_without_their_forward_call_are_told(tmp_path: Path) -> None:
    found = _attributed(tmp_path, gpu_entries())
    assert _kinds(found) == ["custom_function"]
    assert "not in the trace: Mine; their backward work is unattributed" in found.notes[0].text


def test_foreign_names(tmp_path: Path) -> None:
    recorder = Recorder()
    recorder.scope("ProfilerStep#1", 0, 1000)
    recorder.scope("## forward ##", 0, 100)
    recorder.scope("DistributedDataParallel.forward", 1, 99)
    recorder.scope("stem", 2, 20)
    recorder.span("python_function", "nn.Module: Linear_0", 3, 19)
    recorder.operator("aten::linear", 4, 14)
    recorder.span("python_function", "nn.Module: Linear_1", 20, 40, MAIN)
    recorder.operator("aten::linear", 22, 32)
    recorder.operator("aten::relu", 50, 60)
    recorder.operator("aten::clamp_min", 52, 58)
    recorder.scope("enumerate(DataLoader)#It.__next__", 110, 130)
    recorder.operator("aten::stack", 112, 122)
    recorder.operator("aten::item", 140, 150)
    recorder.scope("## backward ##", 200, 300)
    recorder.operator("aten::ones_like", 210, 220)
    recorder.scope("Optimizer.step#SGD.step", 400, 500)
    recorder.operator("aten::add_", 410, 420)
    assert _rows(_attributed(tmp_path, recorder.entries)) == {
        ("stem", "forward"): 10,
        ("Linear_1", "forward"): 10,
        ("aten::relu", "forward"): 10,
        ("enumerate(DataLoader)#It.__next__", "other"): 10,
        ("aten::item", "other"): 10,
        ("aten::ones_like", "backward"): 10,
        ("optimizer", "optimizer"): 10,
    }


def test_without_names_of_ours_parts_are_forward_operators(tmp_path: Path) -> None:
    entries = [entry for entry in gpu_entries() if not entry["name"].startswith("mtmm::")]
    rows = _rows(_attributed(tmp_path, entries))
    assert rows["aten::conv2d", "forward"] == 100
    assert rows["aten::conv2d", "backward"] == 200
    assert rows["aten::addmm", "backward"] == 40
    assert rows["unattributed", "backward"] == 1
    assert sum(rows.values()) == 674
