from __future__ import annotations

from pathlib import Path

import pytest

from bench.profiling.activity import Activity, activity
from bench.profiling.kernels import kernel_mix, kernel_table
from bench.profiling.kinds import KINDS
from bench.profiling.trace import read_trace
from tests.bench.profiling.made import Entry, Recorder, gpu_entries, write


def _activity(path: Path, entries: list[Entry]) -> Activity:
    found = activity(read_trace(write(path / "trace.json", entries)))
    assert found is not None
    return found


def test_kernels_are_summed_by_name(tmp_path: Path) -> None:
    table = kernel_table(read_trace(write(tmp_path / "a.json", gpu_entries())))
    assert list(table) == ["name", "calls", "total_us", "mean_us", "share", "kind"]
    rows = {row["name"]: row for row in table.to_dict("records")}
    assert rows["cudnn::dgrad_engine"] == {
        **{"name": "cudnn::dgrad_engine", "calls": 2, "total_us": 400, "mean_us": 200},
        **{"share": 400 / (2 * 674), "kind": "conv"},
    }
    assert rows["nvjet_tst_64x64"]["calls"] == 4
    assert rows["nvjet_tst_64x64"]["mean_us"] == 100
    assert table["total_us"].is_monotonic_decreasing
    assert table["total_us"].sum() == 2 * 674
    assert table["share"].sum() == pytest.approx(1)


def test_the_mix_has_every_kind(tmp_path: Path) -> None:
    mix = kernel_mix(kernel_table(read_trace(write(tmp_path / "a.json", gpu_entries()))))
    assert sorted(mix["kind"]) == sorted(KINDS)
    us = dict(zip(mix["kind"], mix["total_us"], strict=True))
    assert us["conv"] == 2 * 300
    assert us["gemm"] == 2 * (50 + 20 + 40 + 200)
    assert us["copy"] == 2 * 13
    assert us["optimizer"] == 2 * 30
    assert us["attention"] == 0


def test_operators_are_the_kernels_of_a_cpu(tmp_path: Path) -> None:
    recorder = Recorder()
    recorder.scope("ProfilerStep#1", 0, 100)
    recorder.operator("aten::linear", 10, 60)
    recorder.operator("aten::addmm", 20, 50)
    trace = read_trace(write(tmp_path / "a.json", recorder.entries))
    table = kernel_table(trace)
    assert table[["name", "total_us"]].to_numpy().tolist() == [
        ["aten::addmm", 30],
        ["aten::linear", 20],
    ]
    assert activity(trace) is None


def test_what_host_and_device_do_in_a_step(tmp_path: Path) -> None:
    found = _activity(tmp_path, gpu_entries())
    assert found.launches == 13
    assert found.kernels == 12
    assert found.syncs == 1
    assert found.copies == {"HtoD": 1, "memset": 1}
    assert found.notes == ()


def test_streams_that_overlap_are_busy_once(tmp_path: Path) -> None:
    found = _activity(tmp_path, gpu_entries())
    # set, forward, loss, head, fusion with what runs beside it, accumulation, encoder, optimizer
    busy = 3 + 175 + 8 + 40 + 150 + 7 + 201 + 30
    assert found.busy_share == pytest.approx(busy / 1000)
    assert found.idle_share == pytest.approx(1 - busy / 1000)


def test_what_runs_after_the_last_step_is_not_busy_time(tmp_path: Path) -> None:
    entries = gpu_entries()
    for entry in entries:
        if entry["cat"].startswith(("gpu", "kernel")):
            entry["ts"] += 100_000
    assert _activity(tmp_path, entries).busy_share == 0


def test_a_lost_kernel_is_told(tmp_path: Path) -> None:
    entries = gpu_entries()
    entries.remove(next(entry for entry in entries if entry["name"] == "cudnn::dgrad_engine"))
    found = _activity(tmp_path, entries)
    assert [note.kind for note in found.notes] == ["trace_incomplete"]
    assert "(3: 11, 4: 12)" in found.notes[0].text
