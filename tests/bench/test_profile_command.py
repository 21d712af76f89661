"""`mtmm-bench profile`: what it takes, prints and writes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from bench.cell import ProfileUnit
from bench.cli import main
from bench.execution import profiling
from bench.execution.isolated import ProcessDiedError
from bench.profiling import session
from tests.bench.profiling.steps import IGNORED

pytestmark = pytest.mark.filterwarnings(IGNORED)


@pytest.fixture
def file(suite: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A suite whose variants are profiled in this process, by one step; `separate` fails."""

    def here(function: Callable[..., Any], unit: ProfileUnit, *given: Any, **_: Any) -> Any:
        if unit.arm.config["model"]["sharing"]["name"] == "separate":
            raise ProcessDiedError("exit code 3")
        return function(unit, *given)

    monkeypatch.setenv("MTMM_BENCH_LOCKS", str(tmp_path))
    monkeypatch.setattr(profiling, "call_isolated", here)
    monkeypatch.setattr(session, "ACTIVE", 1)
    monkeypatch.setattr(session, "_PLAIN", 1)
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump(suite), encoding="utf-8")
    return path


def told(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """What is said of bad input."""
    assert main(["profile", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "Traceback" not in err
    return err


@pytest.mark.parametrize("arguments", [[], ["small.yaml", "--trace", "a.json"]])
def test_it_takes_a_suite_or_a_trace(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert "profile needs a suite or --trace FILE, one of them" in told(arguments, capsys)


def test_files_that_are_not_there_or_no_trace(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gone, text = tmp_path / "gone.json", tmp_path / "text.json"
    text.write_text("no trace", encoding="utf-8")
    assert str(gone) in told(["--trace", str(gone)], capsys)
    assert str(text) in told(["--trace", str(text)], capsys)
    assert "gone.yaml" in told([str(tmp_path / "gone.yaml")], capsys)


def test_a_memory_snapshot_takes_a_suite_and_cuda(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = tmp_path / "results"
    where = ["--results", str(results), "--device", "cpu"]
    err = told([str(file), "--memory-snapshot", *where], capsys)
    assert "--memory-snapshot records what CUDA's allocator does, and this run is on cpu" in err
    assert not results.exists()
    assert "goes with a suite" in told(["--trace", "a.json", "--memory-snapshot"], capsys)


def test_a_suite_and_then_its_trace(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = tmp_path / "results"
    assert main(["profile", str(file), "--results", str(results), "--device", "cpu"]) == 1
    out, err = capsys.readouterr()
    for heading in ("encoders.image", "fusion", "heads", "losses", "rest", "% of work"):
        assert heading in out
    assert "hard" in out
    assert "conv" in out
    assert "- Parts: forward + backward" in out
    assert "failed: separate: error: the profiling process: exit code 3" in err
    assert "encoders.image" in (results / "small" / "report.md").read_text(encoding="utf-8")
    (trace,) = (results / "small" / "traces" / "hard").glob("*.json.gz")
    assert main(["profile", "--trace", str(trace)]) == 0
    assert "encoders.image.conv1" in capsys.readouterr().out
    assert main(["profile", "--trace", str(trace), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert {one["part"] for one in said["parts"]} > {"fusion", "heads.script", "optimizer"}
