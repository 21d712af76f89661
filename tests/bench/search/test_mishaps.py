"""What goes wrong in the middle of a search, and what is left then."""

from __future__ import annotations

import json
import multiprocessing
import sys
import time
from pathlib import Path

import pytest
import yaml

from bench.cli import main
from bench.search.workers import helped
from tests.bench.search.test_search_command import run, told, trials_of
from tests.conftest import SUITE


def test_a_journal_that_was_cut_in_its_last_line_goes_on(tmp_path: Path) -> None:
    assert run(tmp_path) == 0
    before = told(tmp_path)
    journal = tmp_path / "results" / "tiny-tuned" / "study.journal"
    journal.write_bytes(journal.read_bytes()[:-20])
    assert run(tmp_path) == 0
    assert [params for params, _ in told(tmp_path)["equal"]] == [p for p, _ in before["equal"]]
    complete = [trial for trial in trials_of(tmp_path)["static"] if trial.state.name == "COMPLETE"]
    assert len(complete) == 2


def test_a_journal_that_is_none_is_told_with_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    journal = tmp_path / "results" / "tiny-tuned" / "study.journal"
    journal.parent.mkdir(parents=True)
    journal.write_text('{"op_code": 0, "x": 3}\n', encoding="utf-8")
    assert run(tmp_path) == 2
    text = capsys.readouterr().err
    assert f"{journal}: no journal that can be used" in text
    assert "move it away" in text
    assert "--storage" not in text


def test_the_first_failure_ends_a_search_that_is_to_fail_fast(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ["--fail-fast", "--timeout", "0.01", "--workers", "1"]
    assert run(tmp_path, *more) == 1
    text = capsys.readouterr().err
    assert "search ended: equal trial 0 seed 10000: timeout" in text
    assert "Traceback" not in text
    assert run(tmp_path, "--retry-failed") == 0


def test_what_nothing_keeps_is_told_and_earlier_files_stay_together(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path) == 0
    folder = tmp_path / "results" / "tiny-tuned"
    before = {path: path.read_bytes() for path in folder.glob("*.*") if path.suffix != ".journal"}
    assert run(tmp_path, "--set", "search.constraints={params: {max: 1}}") == 1
    text = capsys.readouterr().err
    assert "no trial of the baseline 'equal' was completed within the constraints" in text
    assert before == {path: path.read_bytes() for path in before}


def test_an_arm_that_nothing_keeps_has_no_tuned_score(tmp_path: Path) -> None:
    # Lowrank has more parameters than concat at any width that is searched.
    suite = {
        **SUITE,
        "sweep": [{"fusion": ["concat", {"name": "lowrank", "rank": 64}]}],
        "search": {
            "space": {"train.optimizer.lr": [0.01, 0.02]},
            "each": ["fusion"],
            "sampler": "grid",
            "constraints": {"params": {"max": 5100}},
        },
    }
    path, results = tmp_path / "small.yaml", tmp_path / "results"
    path.write_text(yaml.safe_dump(suite), encoding="utf-8")
    assert main(["search", str(path), "--results", str(results), "--device", "cpu", "-q"]) == 1
    folder = results / "small-tuned"
    (row,) = (
        x for x in (folder / "tuned.md").read_text().splitlines() if x.startswith("| lowrank")
    )
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    # Arm, trials, samples, both columns of the best, untuned, tuned, difference, interval, p.
    assert cells[3:5] == ["–", "–"]
    assert cells[5] != "–"
    assert cells[6:] == ["–"] * 4
    assert {path.name for path in folder.glob("best-*.yaml")} == {"best-concat.yaml"}


def test_pruned_trials_leave_neither_checkpoints_nor_the_name_of_a_log(tmp_path: Path) -> None:
    rates = [0.01, 0.011, 0.012, 0.013, 0.014, 1e-9]
    suite = {
        **SUITE,
        "train": {**SUITE["train"], "epochs": 3, "checkpoint": 0},
        "search": {
            "space": {"train.optimizer.lr": rates},
            "sampler": "grid",
            "pruner": "median",
        },
    }
    path, results = tmp_path / "small.yaml", tmp_path / "results"
    path.write_text(yaml.safe_dump(suite), encoding="utf-8")
    options = ["--results", str(results), "--device", "cpu", "-q", "--workers", "1"]
    assert main(["search", str(path), *options]) == 0
    records = [json.loads(file.read_text()) for file in (results / "cells").glob("*.json")]
    (pruned,) = (record for record in records if record["status"] == "pruned")
    assert "log" not in pruned
    assert not [path for path in results.rglob("*") if "checkpoint" in str(path) and path.is_file()]


def test_an_end_in_between_ends_processes_that_have_only_begun() -> None:
    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt), helped(time.sleep, [(600,), (600,)], print):
        raise KeyboardInterrupt
    assert time.monotonic() - begun < 30
    assert not multiprocessing.active_children()


def test_a_process_that_fails_is_told_of() -> None:
    notes = list[str]()
    with helped(sys.exit, [(1,)], notes.append):
        pass
    assert notes == ["another process of this search ended with exit code 1"]
