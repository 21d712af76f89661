from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from bench.cli import main
from bench.execution import inline
from mtmm._version import __version__


@pytest.fixture
def file(suite: dict[str, Any], tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump(suite), encoding="utf-8")
    return path


def test_run_prints_the_comparison_and_where_the_files_are(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = tmp_path / "results"
    assert main(["run", str(file), "--results", str(results), "--device", "cpu"]) == 0
    out, err = capsys.readouterr()
    assert "small: Does it run?" in out
    assert "baseline" in out
    assert str(results / "small" / "report.md") in out
    assert "4 units run, 0 reused" in out
    assert "train 4/4: separate seed 1: score" in err
    assert main(["report", str(results / "small")]) == 0
    assert "baseline" in capsys.readouterr().out


def test_a_failed_unit_ends_with_1_and_its_reason(
    suite: dict[str, Any], file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite["sweep"] = [{"train.optimizer.lr": [0.01, 1e6]}]
    file.write_text(yaml.safe_dump(suite), encoding="utf-8")
    assert main(["run", str(file), "--results", str(tmp_path / "results"), "-q"]) == 1
    assert "failed: lr=1e+06 seed 0: diverged" in capsys.readouterr().err


def test_plan_says_what_would_run_and_runs_nothing(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = tmp_path / "results"
    assert main(["plan", str(file), "--results", str(results)]) == 0
    out = capsys.readouterr().out
    assert "2 variants × 2 seeds" in out
    assert "hard (baseline)" in out
    assert "4 train cells, 0 of them there" in out
    assert not results.exists()


def test_list_shows_components_with_their_settings(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    out = capsys.readouterr().out
    for name in ("glyphs", "lenet", "gated", "separate", "uncertainty", "adamw", "cosine"):
        assert f"  {name}: " in out
    assert "word_dropout: a number at least 0 and below 1; default 0.0" in out
    assert main(["list", "fusion"]) == 0
    assert "lenet" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["list", "fusions"], "unknown kind 'fusions'; did you mean 'fusion'?"),
        (["report", "nowhere"], "nowhere: no results of a suite here"),
        (["run", "small.yaml", "--device", "tpu"], "--device: device must be auto, cpu"),
        (["run", "small.yaml", "--device", "cuda:99"], "--device: device 'cuda:99'"),
    ],
)
def test_bad_input_ends_with_2_and_one_message(
    arguments: list[str],
    message: str,
    file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(file.parent)
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert err.startswith(message)
    assert out == ""


def test_results_that_cannot_be_written(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "taken").write_text("")
    assert main(["run", str(file), "--results", str(tmp_path / "taken")]) == 2
    assert "--results" in capsys.readouterr().err


def test_an_interrupted_run_says_how_to_go_on(
    file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(inline, "run_cell", interrupt)
    options = ["--results", str(tmp_path / "results"), "--workers", "0"]
    assert main(["run", str(file), *options]) == 1
    assert "the same command goes on" in capsys.readouterr().err


def test_two_suites_of_one_name_are_refused_before_anything_runs(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(file.read_text())
    assert main(["run", str(file), str(other), "--results", str(tmp_path / "results")]) == 2
    message = f"{other}: name: 'small' is the name of {file} too: results of one would replace"
    assert capsys.readouterr().err.startswith(message)
    assert not (tmp_path / "results").exists()


def test_a_results_folder_that_is_a_file_or_holds_one(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "taken").write_text("")
    for command in ("plan", "run"):
        for results in ("taken", "taken/inside"):
            assert main([command, str(file), "--results", str(tmp_path / results)]) == 2
            assert "--results" in capsys.readouterr().err
    for inside in ("cells", "small"):
        (tmp_path / inside).mkdir()
        (tmp_path / inside / inside).write_text("")
        assert main(["run", str(file), "--results", str(tmp_path / inside)]) == 2
        assert "File exists" in capsys.readouterr().err


@pytest.mark.parametrize(
    "option", [["--workers", "-1"], ["--workers", "two"], ["--timeout", "0"], ["--timeout", "inf"]]
)
def test_options_that_are_no_numbers_of_their_kind(
    option: list[str], file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["run", str(file), *option])
    assert "must be a" in capsys.readouterr().err


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert __version__ in capsys.readouterr().out


def test_help_does_not_wait_for_pytorch() -> None:
    code = "import sys, bench.cli; bench.cli.parser(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_store_that_cannot_be_written_is_read_and_never_harmed(
    file: Path, tmp_path: Path
) -> None:
    results = tmp_path / "results"
    assert main(["run", str(file), "--results", str(results), "-q"]) == 0
    before = {path: path.read_bytes() for path in results.rglob("*") if path.is_file()}
    folders = [path for path in (results, *results.rglob("*")) if path.is_dir()]
    for folder in folders:
        folder.chmod(0o555)
    try:
        codes = {
            command: _unprivileged([*words, "--results", str(results)])
            for command, *words in (
                ("run", "run", str(file)),
                ("plan", "plan", str(file)),
                ("status", "status"),
            )
        }
        report = _unprivileged(["report", str(results / "small")])
    finally:
        for folder in folders:
            folder.chmod(0o755)
    assert codes["run"] == (2, f"--results {results}: nothing can be written there\n")
    assert codes["plan"] == codes["status"] == (0, "")
    assert report[0] == 2
    assert "the report cannot be written" in report[1]
    assert {path: path.read_bytes() for path in results.rglob("*") if path.is_file()} == before


def _unprivileged(arguments: list[str]) -> tuple[int, str]:
    """Exit code and stderr of a command that the modes of files hold for, root's too."""
    command = [sys.executable, "-m", "bench", *arguments]
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("root may write everywhere, and there is no setpriv")
        command = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search", *command]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr
