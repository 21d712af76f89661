"""What `run` tells at its end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from bench import running
from bench.cli import main
from bench.commands import report
from bench.errors import InputError


@pytest.fixture
def file(suite: dict[str, Any], tmp_path: Path) -> Path:
    suite["seeds"] = 1
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump(suite), encoding="utf-8")
    return path


def run(file: Path, *options: str) -> int:
    results = file.parent / "results"
    common = ["--results", str(results), "-q", "--workers", "0"]
    return main(["run", str(file), *options, *common])


def test_tables_and_outcome_are_told_where_the_report_cannot_be_written(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise InputError("the report cannot be written: no space left")

    monkeypatch.setattr(report, "write_analysis", full)
    assert run(file) == 1
    out, err = capsys.readouterr()
    assert "baseline" in out
    assert "2 units run, 0 reused" in out
    assert err == "the report cannot be written: no space left\n"
    assert main(["report", str(file.parent / "results" / "small")]) == 2
    assert "baseline" in capsys.readouterr().out


def test_units_that_never_ran_are_not_reused_and_what_was_set_aside_is_told_once(
    suite: dict[str, Any], file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite["sweep"] = [{"train.optimizer.lr": [0.01, 1e6, 0.02]}]
    suite["baseline"] = {"train.optimizer.lr": 0.01}
    file.write_text(yaml.safe_dump(suite), encoding="utf-8")
    assert run(file, "--fail-fast") == 1
    out, err = capsys.readouterr()
    assert "2 units run, 0 reused" in out
    assert ", 1 not run." in out
    other = file.with_name("other.yaml")
    other.write_text(yaml.safe_dump({**suite, "name": "other"}), encoding="utf-8")
    assert run(file, str(other), "--retry-failed") == 1
    out, err = capsys.readouterr()
    assert err.count("set aside: ") == 1  # the cell that both hold is tried once
    assert "2 units run, 1 reused" in out
    assert "0 units run, 3 reused" in out


def test_text_of_others_cannot_steer_the_terminal(
    suite: dict[str, Any], file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite["question"] = "a\x1b[31mred\nquestion"
    file.write_text(yaml.safe_dump(suite), encoding="utf-8")
    assert run(file) == 0
    out = capsys.readouterr().out
    assert "small: a [31mred question\n" in out
    assert "\x1b" not in out


def test_time_times_and_trains_nothing(
    suite: dict[str, Any], file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite["timing"] = {"modes": ["train"], "budget_s": 0.1}
    file.write_text(yaml.safe_dump(suite), encoding="utf-8")
    results = ["--results", str(file.parent / "results")]
    assert main(["time", str(file), "-q", *results]) == 0
    out = capsys.readouterr().out
    assert "2 units run, 0 reused" in out
    assert ", 2 not run." in out
    assert "step" in out
    assert run(file) == 0
    assert "2 units run, 2 reused" in capsys.readouterr().out


def test_blocking_launches_are_refused_before_anything_runs(
    suite: dict[str, Any],
    file: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(device: object) -> None:
        raise InputError("CUDA_LAUNCH_BLOCKING is '1'")

    monkeypatch.setattr(running, "check_environment", refuse)
    assert run(file) == 0  # times nothing
    suite["timing"] = {"modes": ["train"], "budget_s": 0.1}
    file.write_text(yaml.safe_dump(suite), encoding="utf-8")
    assert run(file, "--seeds", "2") == 2
    assert "CUDA_LAUNCH_BLOCKING" in capsys.readouterr().err
