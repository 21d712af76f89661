"""What is given up: which trials, what is kept of them, and what is never taken for a result."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest

from bench.search import trial as trials
from bench.search.study import RECORDS, ArmStudy
from bench.search.watch import Watch
from tests.bench.search.planted import Quiet, study, training

SPACE = {"train.modality_dropout": {"low": 0.0, "high": 0.9}}
EPOCHS = 9
SEEDS = tuple(range(10_000, 10_010))


def curve(config: Mapping[str, Any]) -> list[float]:
    """Rises to 1 less the setting, never crossing another."""
    best = 1 - config["train"]["modality_dropout"]
    return [best * epoch / EPOCHS for epoch in range(1, EPOCHS + 1)]


def noisy(config: Mapping[str, Any]) -> float:
    """Falls with the setting; seeds differ by hundredths."""
    return float(1 - config["train"]["modality_dropout"] + (config["seed"] * 7 % 5) / 100)


def searched(folder: Path, **search: Any) -> ArmStudy:
    space = {**SPACE, "train.epochs": [EPOCHS, EPOCHS + 1]}
    one = study(folder, space=space, sampler="random", **search)
    one.work(Quiet())
    return one


@pytest.mark.parametrize("pruner", ["median", "hyperband"])
def test_bad_trials_train_less_and_the_best_is_found_all_the_same(
    pruner: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trials, "Training", training(curve))
    one = searched(tmp_path / "a", pruner=pruner, trials=30)
    states = {trial.state.name for trial in one.study.trials}
    assert states == {"COMPLETE", "PRUNED"}
    assert len(one.study.trials) == 30
    assert one.samples() < 0.8 * 30 * 64 * EPOCHS
    lowest = min(trial.params["train.modality_dropout"] for trial in one.study.trials)
    assert one.front()[0].params["train.modality_dropout"] == lowest
    for trial in one.study.trials:
        if trial.state.name == "PRUNED":
            last = max(trial.intermediate_values)
            assert last < EPOCHS
            assert trial.value == trial.intermediate_values[last]
            assert one.effort(trial) == (64 * last, 0.0)
        else:
            assert list(trial.intermediate_values) == list(range(1, EPOCHS + 1))


def test_what_was_given_up_is_no_result_of_the_cell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trials, "Training", training(curve))
    one = searched(tmp_path, pruner="median", trials=30)
    pruned = [trial for trial in one.study.trials if trial.state.name == "PRUNED"]
    assert pruned
    for trial in pruned:
        (name,) = trial.user_attrs[RECORDS]
        record = one.run.store.read(name)
        assert record is not None
        assert record["status"] == "pruned"
        config = one.configuration(trial)
        assert not one.run.store.has(one.cell(config, one.seeds[0]).id)


def test_a_configuration_that_was_given_up_is_read_in_its_study_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = list[float]()

    def counted(config: Mapping[str, Any]) -> list[float]:
        trained.append(config["train"]["modality_dropout"])
        return curve(config)

    monkeypatch.setattr(trials, "Training", training(counted))
    one = searched(tmp_path, pruner="median", trials=20)
    bad = next(trial for trial in one.study.trials if trial.state.name == "PRUNED")
    before = len(trained)
    one.claims.search = one.search = replace(one.search, trials=21)
    one.study.enqueue_trial(bad.params)
    one.work(Quiet())
    assert one.study.trials[-1].params == bad.params
    assert one.study.trials[-1].state.name == "PRUNED"
    assert len(trained) == before
    space = {**SPACE, "train.epochs": [EPOCHS, EPOCHS + 1]}
    other = study(tmp_path, space=space, sampler="random", pruner="hyperband", trials=1)
    other.study.enqueue_trial(bad.params)
    other.work(Quiet())
    assert trained[before:] == [bad.params["train.modality_dropout"]]


@pytest.mark.parametrize(("larger", "told"), [(True, [0.5, 0.7, 0.7]), (False, [0.5, 0.5, 0.3])])
def test_what_is_not_a_number_hides_nothing_that_comes_after(
    larger: bool, told: list[float], tmp_path: Path
) -> None:
    one = study(tmp_path, space=SPACE, trials=1)
    trial = one.study.ask()
    watch = Watch(
        place=one.place,
        study=one.name,
        trial=trial.number,
        column="val.score",
        larger=larger,
        pruner=optuna.pruners.NopPruner(),
    )
    values = [math.nan, 0.5, 0.7 if larger else math.nan, 0.6 if larger else 0.3]
    points = [{"epoch": i, "val_score": x, "val": {}} for i, x in enumerate(values, start=1)]
    assert not watch(points[:2])
    assert not watch(points)
    assert one.study.trials[0].intermediate_values == dict(zip((2, 3, 4), told, strict=True))


def test_samples_are_of_the_seeds_that_were_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trials, "Training", training(noisy))
    space = {"train.modality_dropout": {"low": 0.0, "high": 0.8, "step": 0.2}}
    whole = study(tmp_path, SEEDS, space=space, sampler="grid")
    whole.work(Quiet())
    assert whole.samples() == 5 * 10 * 64
    less = study(tmp_path, SEEDS, space=space, sampler="grid", pruner="wilcoxon")
    less.work(Quiet())
    used = sum(len(trial.intermediate_values) for trial in less.study.trials)
    assert less.samples() == 64 * used < whole.samples()


def test_wilcoxon_saves_the_seeds_of_what_is_clearly_worse(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trials, "Training", training(noisy))
    one = study(tmp_path, SEEDS, space=SPACE, sampler="random", pruner="wilcoxon", trials=12)
    one.work(Quiet())
    best = one.front()[0]
    assert best.params == min((t.params for t in one.study.trials), key=lambda p: list(p.values()))
    for trial in one.study.trials:
        seen = len(trial.user_attrs[RECORDS])
        assert seen == len(trial.intermediate_values)
        if trial.state.name == "PRUNED":
            assert 4 <= seen < len(SEEDS)
            assert trial.user_attrs["reason"] == f"given up after {seen} of 10 seeds"
        else:
            assert seen == len(SEEDS)
    assert {trial.state.name for trial in one.study.trials} == {"COMPLETE", "PRUNED"}
