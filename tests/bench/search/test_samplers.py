"""Every sampler, on a planted optimum, through the code of any search."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from bench.search import trial as trials
from bench.search.study import ArmStudy
from tests.bench.search.planted import Quiet, study, training

SPACE = {
    "train.optimizer.lr": {"low": 1e-4, "high": 1e-1, "log": True},
    "train.clip_norm": {"low": 0.1, "high": 10.0, "log": True},
}


def bowl(config: Mapping[str, Any]) -> float:
    rate = math.log10(config["train"]["optimizer"]["lr"]) + 2
    bound = math.log10(config["train"]["clip_norm"]) - 0.5
    return 1 - rate**2 - bound**2


def searched(folder: Path, **search: Any) -> ArmStudy:
    one = study(folder, space=SPACE, **search)
    one.work(Quiet())
    return one


@pytest.mark.parametrize("sampler", ["tpe", "gp", "cmaes", "nsga2"])
def test_a_sampler_ends_nearer_to_the_optimum_than_it_began(
    sampler: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trials, "Training", training(bowl))
    values = [t.value or 0.0 for t in searched(tmp_path, sampler=sampler, trials=40).study.trials]
    assert sum(values[-10:]) > sum(values[:10])
    assert max(values) > 0.9


@pytest.mark.parametrize("sampler", ["tpe", "gp", "cmaes", "nsga2", "random"])
def test_a_study_in_two_goes_is_the_study_in_one(
    sampler: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trials, "Training", training(bowl))
    whole = searched(tmp_path / "a", sampler=sampler, trials=16)
    left = [16]

    def interrupted(config: Mapping[str, Any]) -> float:
        left[0] -= 1
        if left[0] == 7:
            raise KeyboardInterrupt
        return bowl(config)

    monkeypatch.setattr(trials, "Training", training(interrupted))
    halves = study(tmp_path / "b", space=SPACE, sampler=sampler, trials=16)
    with pytest.raises(KeyboardInterrupt):
        halves.work(Quiet())
    halves.work(Quiet())
    done = [trial.params for trial in halves.study.trials if trial.state.name == "COMPLETE"]
    first = [trial.params for trial in whole.study.trials]
    # A generation of CMA-ES lacks a member that was proposed before and is tried again.
    same = 9 if sampler == "cmaes" else 16
    assert done[:same] == first[:same]
    assert len(halves.study.trials) == 17


@pytest.mark.parametrize("sampler", ["tpe", "gp", "nsga2"])
def test_several_objectives_come_to_a_front_that_nothing_dominates(
    sampler: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trials, "Training", training(lambda c: c["model"]["width"] ** 0.5 / 10))
    space = {"model.width": {"low": 4, "high": 64}, "train.optimizer.lr": [0.001, 0.01]}
    one = study(
        tmp_path, space=space, objective=["val.score", "params"], sampler=sampler, trials=20
    )
    one.work(Quiet())
    front = one.front()
    # Width buys score: every width that was tried is on the front, the largest comes first.
    widths = {trial.params["model.width"] for trial in one.study.trials}
    assert {trial.params["model.width"] for trial in front} == widths
    assert front[0].params["model.width"] == max(widths)
    assert front[0].values == [max(widths) ** 0.5 / 10, max(widths)]
