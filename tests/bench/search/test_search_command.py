"""The command `search`, from a suite to the table of tuned arms."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import optuna
import pytest
import yaml

import bench
from bench.cli import main
from bench.search.study import FIRST_SEED

SUITE = """
name: tiny
dataset: {name: glyphs, limit: 200}
tasks: [script, slant]
modalities: [image]
model: {encoders: {image: lenet}, width: 8}
train: {epochs: 1, batch_size: 64}
sweep: [{weighting: [equal, static]}]
seeds: 2
timing: off
search:
  space:
    train.optimizer.lr: {low: 1.0e-3, high: 1.0e-1, log: true}
    model.width: {low: 4, high: 12, step: 4}
    weighting.weights: {simplex: true, when: {weighting: static}}
  each: [weighting]
  trials: 2
"""


def run(folder: Path, *more: str) -> int:
    (folder / "tiny.yaml").write_text(SUITE, encoding="utf-8")
    given = ["search", str(folder / "tiny.yaml"), "--results", str(folder / "results"), "-q"]
    return main([*given, "--workers", "0", "--device", "cpu", *more])


def trials_of(folder: Path) -> dict[str, list[Any]]:
    path = folder / "results" / "tiny-tuned" / "study.journal"
    backend = optuna.storages.journal.JournalFileBackend(str(path))
    storage = optuna.storages.JournalStorage(backend)
    return {
        name.split("/")[1]: optuna.load_study(study_name=name, storage=storage).trials
        for name in optuna.get_all_study_names(storage)
    }


def told(folder: Path) -> dict[str, list[Any]]:
    return {arm: [(t.params, t.value) for t in found] for arm, found in trials_of(folder).items()}


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("search")
    assert run(folder) == 0
    return folder


def test_every_arm_has_its_trials_and_settings_of_its_own_only(searched: Path) -> None:
    found = trials_of(searched)
    assert set(found) == {"equal", "static"}
    for arm, trials in found.items():
        assert [trial.state.name for trial in trials] == ["COMPLETE"] * 2
        for trial in trials:
            has_weights = any(name.startswith("weighting.weights[") for name in trial.params)
            assert has_weights == (arm == "static")
            assert trial.params["model.width"] in (4, 8, 12)
            assert 1e-3 <= trial.params["train.optimizer.lr"] <= 1e-1


def test_a_finished_search_trains_nothing_anew(searched: Path) -> None:
    cells = searched / "results" / "cells"
    before = {path: path.stat().st_mtime_ns for path in cells.iterdir()}
    trials = told(searched)
    assert run(searched) == 0
    assert {path: path.stat().st_mtime_ns for path in cells.iterdir()} == before
    assert told(searched) == trials


def test_seeds_of_trials_are_not_those_of_the_comparison(searched: Path) -> None:
    frame = bench.load(searched / "results" / "tiny-tuned")
    assert set(frame["seed"]) == {0, 1}
    store = bench.store.Store(searched / "results")
    for trials in trials_of(searched).values():
        for trial in trials:
            records = [store.look(name) for name in trial.user_attrs["records"]]
            assert [record["seed"] for record in records] == [FIRST_SEED]
            assert records[0]["scores"]["val"] == pytest.approx(trial.value)


def test_the_best_configuration_is_a_suite_and_what_was_compared(searched: Path) -> None:
    folder = searched / "results" / "tiny-tuned"
    frame = bench.load(folder)
    for arm, trials in trials_of(searched).items():
        best = max(trials, key=lambda trial: trial.value)
        (only,) = bench.plan(folder / f"best-{arm}.yaml").variants
        rate = only.config["train"]["optimizer"]["lr"]
        assert rate == pytest.approx(best.params["train.optimizer.lr"])
        rows = frame[frame["variant"] == f"{arm}-tuned"]
        assert len(rows) == 2
        assert set(rows["config.model.width"]) == {best.params["model.width"]}
    assert "| static | 2 |" in (folder / "tuned.md").read_text(encoding="utf-8")
    assert "tabular" in (folder / "tuned.tex").read_text(encoding="utf-8")


def test_an_interrupted_search_ends_as_one_that_was_not(searched: Path, tmp_path: Path) -> None:
    # With more trials the same study goes on: here in two parts, there at once.
    text = "search.trials=1"
    assert run(tmp_path, "--set", text) == 0
    assert run(tmp_path) == 0
    assert told(tmp_path) == told(searched)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("space", {"train.optimizer.rate": {"low": 0.1, "high": 1.0}}, "unknown setting 'rate'"),
        ("space", {"model.width": {"low": 8, "high": 4}}, "`low` must be below `high`"),
        ("space", {"model.width": {"low": 0, "high": 4, "log": True}}, "must be above 0"),
        ("space", {"model.width": [8]}, "two values or more"),
        ("space", {"model.width": {"low": 4, "high": "x"}}, "must be a finite number"),
        ("space", {"model.width": {"low": 4, "high": 8, "max": 1}}, "unknown key 'max'"),
        ("space", {"model.width": {"low": 4, "high": 8, "when": {"fusion": "film"}}}, "no arm"),
        ("space", {}, "must map settings"),
        ("objective", "test.score", "test is for the tuned arms alone"),
        ("objective", "val.scirpt.accuracy", "did you mean 'script'"),
        ("objective", "val.script.acuracy", "no metric 'acuracy'"),
        ("each", ["fusion"], "is no axis of the sweep"),
        ("trials", 0, "trials"),
        ("tirals", 3, "tirals"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(
    key: str, value: Any, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite = yaml.safe_load(SUITE.replace("timing: off", "timing: 'off'"))
    suite["search"][key] = value
    path = tmp_path / "bad.yaml"
    path.write_text(yaml.safe_dump(suite, sort_keys=False), encoding="utf-8")
    assert main(["search", str(path), "--results", str(tmp_path / "results"), "-q"]) == 2
    told = capsys.readouterr().err
    assert message in told
    assert f"{path}:" in told
    assert "Traceback" not in told


def test_a_suite_without_search_and_a_storage_that_is_not_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "plain.yaml"
    path.write_text(SUITE.partition("search:")[0], encoding="utf-8")
    assert main(["search", str(path), "--results", str(tmp_path / "results"), "-q"]) == 2
    assert "has no `search`" in capsys.readouterr().err
    assert run(tmp_path, "--storage", "sqlite:////nowhere/at/all.db") == 2
    assert "--storage sqlite:////nowhere/at/all.db: it cannot be used" in capsys.readouterr().err


def test_trials_whose_cells_have_failed_are_tried_again_only_if_asked(
    searched: Path, tmp_path: Path
) -> None:
    # The same trials once more, in a study of its own, on records of which one has failed.
    shutil.copytree(searched / "results", tmp_path / "results")
    (tmp_path / "results" / "tiny-tuned" / "study.journal").unlink()
    store = bench.store.Store(tmp_path / "results")
    (broken,) = trials_of(searched)["equal"][0].user_attrs["records"]
    store.write(broken, {**store.look(broken), "status": "error", "reason": "the disk was full"})
    assert run(tmp_path) == 0
    assert trials_of(tmp_path)["equal"][0].state.name == "FAIL"
    (tmp_path / "results" / "tiny-tuned" / "study.journal").unlink()
    assert run(tmp_path, "--retry-failed") == 0
    assert told(tmp_path) == told(searched)
