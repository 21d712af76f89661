from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.cli import main
from bench.profiling.attribution import attribute
from bench.profiling.summary import parts_by_direction, summarise
from bench.profiling.trace import read_trace
from tests.bench.profiling.made import Recorder, gpu_entries, write


@pytest.fixture
def gpu(tmp_path: Path) -> Path:
    return write(tmp_path / "gpu.json", gpu_entries())


@pytest.fixture
def cpu(tmp_path: Path) -> Path:
    recorder = Recorder()
    recorder.scope("ProfilerStep#1", 0, 100)
    recorder.scope("mtmm::fusion", 10, 50)
    recorder.operator("aten::mm", 20, 50)
    return write(tmp_path / "cpu.json", recorder.entries)


def test_a_device_in_numbers(gpu: Path) -> None:
    told = summarise(read_trace(gpu))
    assert told["device"] == "cuda"
    assert told["device_names"] == ["GPU by hand"]
    assert (told["steps"], told["step_us"], told["work_us"]) == (2, 1000, 674)
    names = ("forward_us", "backward_us", "optimizer_us", "other_us")
    assert [told[name] for name in names] == [175, 456, 30, 13]
    assert told["unattributed_share"] == pytest.approx(11 / 674)
    assert (told["kernels"], told["launches"], told["syncs"]) == (12, 13, 1)
    assert told["busy_share"] + told["idle_share"] == 1
    assert sum(told["kinds"].values()) == pytest.approx(1)
    assert json.loads(json.dumps(told)) == told


def test_without_a_device_its_numbers_are_unknown(cpu: Path) -> None:
    told = summarise(read_trace(cpu))
    assert told["device"] == "cpu"
    assert (told["forward_us"], told["backward_us"], told["work_us"]) == (30, 0, 30)
    for name in ("kernels", "launches", "syncs", "copies", "busy_share", "idle_share"):
        assert told[name] is None
    assert told["joined_share"] is None


@pytest.fixture
def encoders(tmp_path: Path) -> Path:
    """30 µs of image encoder in two stages, 10 µs of text encoder; and a fusion."""
    recorder = Recorder()
    recorder.scope("ProfilerStep#1", 0, 200)
    spans = {"image.conv1": (10, 30), "image.fc": (40, 50), "text.recurrence": (60, 70)}
    for name, (start, end) in spans.items():
        recorder.scope(f"mtmm::encoders.{name}", start, end)
        recorder.operator("aten::mm", start, end)
    recorder.scope("mtmm::fusion", 100, 190)
    recorder.operator("aten::mm", 100, 190)
    return write(tmp_path / "encoders.json", recorder.entries)


def test_the_slowest_encoder_against_the_mean(
    encoders: Path, gpu: Path, cpu: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert summarise(read_trace(encoders))["straggler_ratio"] == 30 / 20
    assert main(["profile", "--trace", str(encoders)]) == 0
    assert "The slowest encoder takes 1.50 times the mean" in capsys.readouterr().out
    assert main(["profile", "--trace", str(encoders), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["straggler_ratio"] == 1.5
    for one_or_none in (gpu, cpu):
        assert summarise(read_trace(one_or_none))["straggler_ratio"] is None
        assert main(["profile", "--trace", str(one_or_none)]) == 0
        assert "slowest encoder" not in capsys.readouterr().out


def test_parts_in_rows_and_directions_in_columns(gpu: Path) -> None:
    wide = parts_by_direction(attribute(read_trace(gpu)).table)
    assert wide.columns.tolist() == [
        *("part", "forward", "backward", "optimizer", "other", "us", "share")
    ]
    assert wide.iloc[0].tolist() == ["encoders.image", 100, 200, 0, 0, 300, 300 / 674]
    assert wide["us"].sum() == 674


def test_the_command_prints_tables(gpu: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profile", "--trace", str(gpu)]) == 0
    out = capsys.readouterr().out
    assert "2 steps of 1.000 ms under the profiler, GPU by hand" in out
    assert "0.674 ms of kernels and copies a step: forward 0.175 ms, backward 0.456 ms" in out
    assert "busy 61% of a step; a step has 13 launches, 12 kernels, 1 waits" in out
    assert any(line.split()[:3] == ["encoders.image", "0.100", "0.200"] for line in out.split("\n"))
    assert "Note: custom autograd functions" in out


def test_the_command_prints_json(cpu: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profile", "--trace", str(cpu), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["parts"] == [
        {"part": "fusion", "direction": "forward", "us": 30.0, "share": 1.0}
    ]


def test_the_command_tells_a_bad_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profile", "--trace", str(tmp_path / "none.json")]) == 2
    assert "none.json: there is no such file" in capsys.readouterr().err
    assert main(["profile"]) == 2
    assert "profile needs" in capsys.readouterr().err


def test_many_parts_are_cut_and_the_rest_summed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recorder = Recorder()
    recorder.scope("ProfilerStep#1", 0, 1000)
    for i in range(50):
        recorder.operator(f"aten::op{i}", 10 * i, 10 * i + 5)
    assert main(["profile", "--trace", str(write(tmp_path / "a.json", recorder.entries))]) == 0
    assert "and 10 more parts, 0.050 ms together" in capsys.readouterr().out
